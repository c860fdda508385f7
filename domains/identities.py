"""SES identities of domains (SES API v2: Create-, Get- and DeleteEmailIdentity)."""

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from core import aws
from core.server.waits import TooManyWaits, Waits
from domains.models import Domain

_STATUSES = {
    "PENDING": Domain.Status.PENDING,
    "SUCCESS": Domain.Status.VERIFIED,
    "FAILED": Domain.Status.FAILED,
    "TEMPORARY_FAILURE": Domain.Status.TEMPORARY_FAILURE,
    "NOT_STARTED": Domain.Status.NOT_STARTED,
}

# Requests that wait for SES, which may take 20 s for each of up to three calls.
WAITS = Waits(
    lambda: TooManyWaits("too_many_verifications", "Other domains are being checked. Try again."),
    in_all=4,
    per_workspace=2,
)


class IdentityUnavailable(Exception):
    """An SES call failed; retry it later."""


class IdentityMissing(IdentityUnavailable):
    """The identity does not exist at SES."""


@dataclass(frozen=True, slots=True)
class IdentityStatus:
    verified: bool
    status: str
    dkim_status: str
    dkim_tokens: list[str]


def create_domain_identity(domain: Domain) -> list[str]:
    """Create the identity with Easy DKIM, or adopt an existing one; returns its DKIM tokens."""
    client = aws.ses(domain.region)
    try:
        answer = client.create_email_identity(EmailIdentity=domain.name)
    except client.exceptions.AlreadyExistsException:
        return check_domain_status(domain).dkim_tokens
    except (BotoCoreError, ClientError) as error:
        raise IdentityUnavailable(str(error)) from error
    return answer.get("DkimAttributes", {}).get("Tokens", [])


def check_domain_status(domain: Domain) -> IdentityStatus:
    """The identity's status at SES; only VerifiedForSendingStatus allows sending."""
    client = aws.ses(domain.region)
    try:
        answer = client.get_email_identity(EmailIdentity=domain.name)
    except client.exceptions.NotFoundException as error:
        raise IdentityMissing(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise IdentityUnavailable(str(error)) from error
    dkim = answer.get("DkimAttributes", {})
    verified = answer.get("VerifiedForSendingStatus", False)
    status = (
        Domain.Status.VERIFIED if verified else _unverified_status(answer.get("VerificationStatus"))
    )
    return IdentityStatus(
        verified=verified,
        status=status,
        dkim_status=_STATUSES.get(dkim.get("Status", ""), Domain.Status.PENDING),
        dkim_tokens=dkim.get("Tokens", []),
    )


def delete_domain_identity(domain: Domain) -> None:
    """Delete the identity; does nothing if it does not exist."""
    client = aws.ses(domain.region)
    try:
        client.delete_email_identity(EmailIdentity=domain.name)
    except client.exceptions.NotFoundException:
        return
    except (BotoCoreError, ClientError) as error:
        raise IdentityUnavailable(str(error)) from error


def _unverified_status(ses_status: str | None) -> str:
    status = _STATUSES.get(ses_status or "", Domain.Status.PENDING)
    # SUCCESS without permission to send is an account-level problem, so not verified yet.
    return Domain.Status.PENDING if status == Domain.Status.VERIFIED else status
