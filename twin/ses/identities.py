"""Email identities: addresses and domains that may send (SES v2 API reference)."""

import secrets
import time
from typing import Any

from twin.aws import AwsError, Call, page
from twin.core import Twin
from twin.ses.addresses import domain_of, read_mailbox
from twin.state import Identity, Store, regional

# Names of these domains, and below, never get verified.
_UNVERIFIABLE = {"pending.twin.test": "PENDING", "failed.twin.test": "FAILED"}
_BASE32_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_MX_BEHAVIORS = ("USE_DEFAULT_VALUE", "REJECT_MESSAGE")


def create_email_identity(twin: Twin, call: Call) -> dict[str, Any]:
    name = _read_name(call.params.get("EmailIdentity", ""))
    key = regional(call.region, name)
    if key in twin.store.identities:
        raise AwsError("AlreadyExistsException", f"Email identity {name} already exist.")
    configuration_set = call.params.get("ConfigurationSetName")
    require_configuration_set(twin.store, call.region, configuration_set)
    identity = new_identity(name=name, region=call.region)
    identity.tags = call.params.get("Tags") or []
    identity.configuration_set = configuration_set
    _use_signing_attributes(identity, call.params.get("DkimSigningAttributes") or {})
    twin.store.identities[key] = identity
    twin.store.changed()
    return {
        "IdentityType": _type(identity),
        "VerifiedForSendingStatus": False,
        "DkimAttributes": _dkim(identity),
    }


def get_email_identity(twin: Twin, call: Call) -> dict[str, Any]:
    """The first look after creation decides: verified, unless the name says otherwise."""
    identity = _find(twin, call)
    _settle(identity)
    twin.store.changed()
    return {
        "IdentityType": _type(identity),
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": identity.verified,
        "VerificationStatus": identity.status,
        "DkimAttributes": _dkim(identity),
        "MailFromAttributes": _mail_from(identity),
        "Policies": {},
        "Tags": identity.tags,
        "VerificationInfo": _verification_info(identity),
        **({"ConfigurationSetName": name} if (name := identity.configuration_set) else {}),
    }


def list_email_identities(twin: Twin, call: Call) -> dict[str, Any]:
    mine = [each for each in twin.store.identities.values() if each.region == call.region]
    identities, token = read_page(mine, call)
    rows = [
        {
            "IdentityType": _type(each),
            "IdentityName": each.name,
            "SendingEnabled": each.verified,
            "VerificationStatus": each.status,
        }
        for each in identities
    ]
    return {"EmailIdentities": rows, **({"NextToken": token} if token else {})}


def delete_email_identity(twin: Twin, call: Call) -> dict[str, Any]:
    identity = _find(twin, call)
    del twin.store.identities[regional(identity.region, identity.name)]
    twin.store.changed()
    return {}


def put_mail_from_attributes(twin: Twin, call: Call) -> dict[str, Any]:
    """Without MailFromDomain the custom MAIL FROM domain is taken away."""
    identity = _find(twin, call)
    domain = (call.params.get("MailFromDomain") or "").lower()
    parent = identity.name if identity.is_domain else domain_of(identity.name)
    if domain and not domain.endswith(f".{parent}"):
        raise AwsError(
            "BadRequestException",
            f"Provided MAIL-FROM domain <{domain}> is not subdomain of the domain of the "
            f"identity <{identity.name}>.",
        )
    behavior = call.params.get("BehaviorOnMxFailure") or "USE_DEFAULT_VALUE"
    if behavior not in _MX_BEHAVIORS:
        raise AwsError("BadRequestException", f"Invalid BehaviorOnMxFailure {behavior}.")
    identity.mail_from_domain = domain
    identity.mail_from_status = "PENDING" if domain else ""
    identity.behavior_on_mx_failure = behavior
    twin.store.changed()
    return {}


def put_configuration_set_attributes(twin: Twin, call: Call) -> dict[str, Any]:
    identity = _find(twin, call)
    name = call.params.get("ConfigurationSetName")
    require_configuration_set(twin.store, call.region, name)
    identity.configuration_set = name
    twin.store.changed()
    return {}


def new_identity(*, name: str, region: str) -> Identity:
    tokens = [] if "@" in name else [_dkim_token() for _ in range(3)]
    return Identity(name=name, region=region, created_at=time.time(), dkim_tokens=tokens)


def sending_identity(store: Store, region: str, address: str) -> Identity | None:
    """The verified identity that covers the address: itself, its domain or a parent domain."""
    domain = domain_of(address)
    names = [address.lower(), domain]
    while "." in domain:
        domain = domain.partition(".")[2]
        names.append(domain)
    for name in names:
        identity = store.identities.get(regional(region, name))
        if identity is not None and identity.verified:
            return identity
    return None


def require_configuration_set(store: Store, region: str, name: str | None) -> None:
    if name and regional(region, name) not in store.configuration_sets:
        message = f"Configuration set <{name}> does not exist."
        raise AwsError("NotFoundException", message, status=404)


def read_page(items: list[Any], call: Call) -> tuple[list[Any], str | None]:
    try:
        size = int(call.params.get("PageSize") or 1000)
        return page(items, token=call.params.get("NextToken"), size=max(1, min(size, 1000)))
    except ValueError:
        raise AwsError("BadRequestException", "Invalid NextToken or PageSize.") from None


def _find(twin: Twin, call: Call) -> Identity:
    name = call.params["EmailIdentity"].lower()
    identity = twin.store.identities.get(regional(call.region, name))
    if identity is None:
        message = f"Email identity {name} does not exist."
        raise AwsError("NotFoundException", message, status=404)
    return identity


def _read_name(text: str) -> str:
    # A domain is valid where an address at it is.
    read_mailbox(text if "@" in text else f"postmaster@{text}")
    if "@" not in text and "." not in text:
        raise AwsError("BadRequestException", f"Invalid identity {text}.")
    return text.lower()


def _use_signing_attributes(identity: Identity, attributes: dict[str, Any]) -> None:
    """Easy DKIM by default; with a selector and a private key of one's own, BYODKIM."""
    if attributes.get("DomainSigningSelector"):
        if not attributes.get("DomainSigningPrivateKey"):
            raise AwsError("BadRequestException", "DomainSigningPrivateKey is missing.")
        identity.dkim_origin = "EXTERNAL"
        identity.dkim_tokens = [attributes["DomainSigningSelector"]]
    elif attributes.get("NextSigningKeyLength"):
        identity.dkim_key_length = attributes["NextSigningKeyLength"]


def _settle(identity: Identity) -> None:
    now = time.time()
    identity.checked_at = now
    if not identity.settled:
        identity.status = _lasting_status(identity.name)
        identity.settled = True
    if identity.verified:
        identity.verified_at = now
    if identity.mail_from_status == "PENDING":
        identity.mail_from_status = identity.status


def _lasting_status(name: str) -> str:
    domain = domain_of(name)
    for unverifiable, status in _UNVERIFIABLE.items():
        if domain == unverifiable or domain.endswith(f".{unverifiable}"):
            return status
    return "SUCCESS"


def _type(identity: Identity) -> str:
    return "DOMAIN" if identity.is_domain else "EMAIL_ADDRESS"


def _dkim(identity: Identity) -> dict[str, Any]:
    if not identity.is_domain:
        return {
            "SigningEnabled": False,
            "Status": "NOT_STARTED",
            "SigningAttributesOrigin": "AWS_SES",
        }
    attributes = {
        "SigningEnabled": True,
        "Status": identity.status,
        "Tokens": identity.dkim_tokens,
        "SigningAttributesOrigin": identity.dkim_origin,
    }
    if identity.dkim_origin == "AWS_SES":
        attributes |= {
            "SigningHostedZone": "dkim.amazonses.com",
            "NextSigningKeyLength": identity.dkim_key_length,
            "CurrentSigningKeyLength": identity.dkim_key_length,
            "LastKeyGenerationTimestamp": identity.created_at,
        }
    return attributes


def _mail_from(identity: Identity) -> dict[str, Any]:
    behavior = {"BehaviorOnMxFailure": identity.behavior_on_mx_failure}
    if not identity.mail_from_domain:
        return behavior
    return behavior | {
        "MailFromDomain": identity.mail_from_domain,
        "MailFromDomainStatus": identity.mail_from_status,
    }


def _verification_info(identity: Identity) -> dict[str, Any]:
    info: dict[str, Any] = {"LastCheckedTimestamp": identity.checked_at}
    if identity.verified_at is not None:
        info["LastSuccessTimestamp"] = identity.verified_at
    if not identity.verified and identity.is_domain:
        info["ErrorType"] = "HOST_NOT_FOUND"
    return info


def _dkim_token() -> str:
    return "".join(secrets.choice(_BASE32_LETTERS) for _ in range(32))
