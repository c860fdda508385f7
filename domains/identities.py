"""A domain's identity at SES (API v2: Create-, Get- and DeleteEmailIdentity)."""

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from core import aws
from domains.models import Domain

_STATUSES = {
    "PENDING": Domain.Status.PENDING,
    "SUCCESS": Domain.Status.VERIFIED,
    "FAILED": Domain.Status.FAILED,
    "TEMPORARY_FAILURE": Domain.Status.TEMPORARY_FAILURE,
    "NOT_STARTED": Domain.Status.NOT_STARTED,
}


class IdentityUnavailable(Exception):
    """SES did not do what was asked of it; the step is worth another try."""


class IdentityMissing(IdentityUnavailable):
    """SES has no such identity (any more)."""


@dataclass(frozen=True, slots=True)
class IdentityStatus:
    verified: bool
    status: str
    dkim_status: str
    dkim_tokens: list[str]


def create_domain_identity(domain: Domain) -> list[str]:
    """Make the identity with Easy DKIM; its three DKIM tokens. One that exists is adopted."""
    client = aws.ses(domain.region)
    try:
        answer = client.create_email_identity(EmailIdentity=domain.name)
    except client.exceptions.AlreadyExistsException:
        return check_domain_status(domain).dkim_tokens
    except (BotoCoreError, ClientError) as error:
        raise IdentityUnavailable(str(error)) from error
    return answer.get("DkimAttributes", {}).get("Tokens", [])


def check_domain_status(domain: Domain) -> IdentityStatus:
    """What SES knows; only VerifiedForSendingStatus allows sending."""
    client = aws.ses(domain.region)
    try:
        answer = client.get_email_identity(EmailIdentity=domain.name)
    except client.exceptions.NotFoundException as error:
        raise IdentityMissing(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise IdentityUnavailable(str(error)) from error
    dkim = answer.get("DkimAttributes", {})
    verified = answer.get("VerifiedForSendingStatus", False)
    known = Domain.Status.VERIFIED if verified else _unverified(answer.get("VerificationStatus"))
    return IdentityStatus(
        verified=verified,
        status=known,
        dkim_status=_STATUSES.get(dkim.get("Status", ""), Domain.Status.PENDING),
        dkim_tokens=dkim.get("Tokens", []),
    )


def delete_domain_identity(domain: Domain) -> None:
    """Remove the identity; one that isn't there is as good as removed."""
    client = aws.ses(domain.region)
    try:
        client.delete_email_identity(EmailIdentity=domain.name)
    except client.exceptions.NotFoundException:
        return
    except (BotoCoreError, ClientError) as error:
        raise IdentityUnavailable(str(error)) from error


def _unverified(status: str | None) -> str:
    known = _STATUSES.get(status or "", Domain.Status.PENDING)
    # SUCCESS without permission to send is an account matter, so not verified yet.
    return Domain.Status.PENDING if known == Domain.Status.VERIFIED else known
