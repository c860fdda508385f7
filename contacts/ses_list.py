"""SES's account-level suppression list of a region (SES API v2: *SuppressedDestination*).

The list belongs to the AWS account: all workspaces of the installation share it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from contacts.models import Suppression
from core import aws, hooks

PAGE_SIZE = 1000  # the most that ListSuppressedDestinations returns
_ORIGINS = {"BOUNCE": Suppression.Origin.BOUNCE, "COMPLAINT": Suppression.Origin.COMPLAINT}
_THROTTLING = {
    *("TooManyRequestsException", "Throttling", "ThrottlingException", "RequestLimitExceeded"),
}


class ListUnavailable(Exception):
    """The call failed for a reason that is not the address; try it again later."""


class ListThrottled(ListUnavailable):
    """Too many calls a second."""


class AddressRefused(Exception):
    """SES doesn't take the address; another attempt would fail as well."""


class Listed(NamedTuple):
    email: str
    origin: Suppression.Origin
    at: datetime


def regions() -> set[str]:
    """The regions in which this installation sends through SES."""
    return {region for regions_of in hooks.collect("SES_REGIONS") for region in regions_of()}


def delete(region: str, email: str) -> None:
    """Take the address off the list; does nothing if it isn't on it."""
    client = aws.ses(region)
    try:
        client.delete_suppressed_destination(EmailAddress=email)
    except client.exceptions.NotFoundException:
        return
    except client.exceptions.BadRequestException as error:
        raise AddressRefused(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise _unavailable(error) from error


def read_page(region: str, token: str = "") -> tuple[list[Listed], str]:
    """Up to PAGE_SIZE addresses, and the token of the next page or ""."""
    parameters: Any = {"PageSize": PAGE_SIZE, **({"NextToken": token} if token else {})}
    try:
        answer = aws.ses(region).list_suppressed_destinations(**parameters)
    except (BotoCoreError, ClientError) as error:
        raise _unavailable(error) from error
    return list(_read(answer.get("SuppressedDestinationSummaries", []))), answer.get(
        "NextToken", ""
    )


def _read(summaries: Any) -> Iterator[Listed]:
    for each in summaries:
        origin = _ORIGINS.get(each["Reason"], Suppression.Origin.MANUAL)
        yield Listed(each["EmailAddress"], origin, each["LastUpdateTime"])


def _unavailable(error: Exception) -> ListUnavailable:
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else ""
    return (ListThrottled if code in _THROTTLING else ListUnavailable)(str(error))
