"""The account-level suppression list of each region (SES v2 API reference)."""

import time
from datetime import datetime
from typing import Any

from twin.aws import AwsError, Call
from twin.core import Twin
from twin.outcomes import suppression_reason
from twin.ses.addresses import read_mailbox
from twin.ses.identities import read_page
from twin.state import SuppressedDestination, regional

_REASONS = ("BOUNCE", "COMPLAINT")
# Far more than a laptop's mail bounces; the whole state is written at once.
_MAX_DESTINATIONS = 20_000


def put_suppressed_destination(twin: Twin, call: Call) -> dict[str, Any]:
    _refuse_tenant(call)
    address = read_mailbox(call.params.get("EmailAddress") or "")
    reason = _read_reason(call.params.get("Reason"))
    _put(twin, SuppressedDestination(address=address.lower(), region=call.region, reason=reason))
    twin.store.changed()
    return {}


def get_suppressed_destination(twin: Twin, call: Call) -> dict[str, Any]:
    return {"SuppressedDestination": _shown(_find(twin, call))}


def delete_suppressed_destination(twin: Twin, call: Call) -> dict[str, Any]:
    found = _find(twin, call)
    del twin.store.suppressed[regional(found.region, found.address)]
    twin.store.changed()
    return {}


def list_suppressed_destinations(twin: Twin, call: Call) -> dict[str, Any]:
    _refuse_tenant(call)
    reasons = [_read_reason(each) for each in call.params.get("Reason") or _REASONS]
    since, until = _read_time(call, "StartDate"), _read_time(call, "EndDate")
    rows = [
        each
        for each in twin.store.suppressed.values()
        if each.region == call.region
        and each.reason in reasons
        and (since is None or each.updated_at >= since)
        and (until is None or each.updated_at < until)
    ]
    page, token = read_page(rows, call)
    summaries = [_shown(each) for each in page]
    return {
        "SuppressedDestinationSummaries": summaries,
        **({"NextToken": token} if token else {}),
    }


def suppressed_recipients(twin: Twin, region: str, recipients: list[str]) -> dict[str, str]:
    """The recipients that get no mail because they are on the list, with the reasons."""
    listed = twin.store.suppressed
    found = {each: listed.get(regional(region, each.lower())) for each in recipients}
    return {address: row.reason for address, row in found.items() if row is not None}


def suppress_failing(twin: Twin, region: str, recipients: list[str]) -> None:
    """Put those on the list that bounce or complain, as accounts since November 2019 do.

    Written to disk with the next other change: a bench bounces thousands of times a second.
    """
    for recipient in recipients:
        if reason := suppression_reason(recipient):
            row = SuppressedDestination(address=recipient.lower(), region=region, reason=reason)
            _put(twin, row)


def _put(twin: Twin, row: SuppressedDestination) -> None:
    row.updated_at = time.time()
    twin.store.suppressed[regional(row.region, row.address)] = row
    while len(twin.store.suppressed) > _MAX_DESTINATIONS:
        del twin.store.suppressed[next(iter(twin.store.suppressed))]


def _find(twin: Twin, call: Call) -> SuppressedDestination:
    _refuse_tenant(call)
    address = call.params["EmailAddress"]
    found = twin.store.suppressed.get(regional(call.region, address.lower()))
    if found is None:
        message = f"Email address {address} does not exist on your suppression list."
        raise AwsError("NotFoundException", message, status=404)
    return found


def _shown(row: SuppressedDestination) -> dict[str, Any]:
    return {
        "EmailAddress": row.address,
        "Reason": row.reason,
        "LastUpdateTime": row.updated_at,
    }


def _read_reason(reason: Any) -> str:
    if reason not in _REASONS:
        raise AwsError("BadRequestException", f"Invalid suppression reason <{reason}>.")
    return str(reason)


def _read_time(call: Call, name: str) -> float | None:
    """Unix seconds; botocore writes ISO 8601 into a query."""
    text = call.params.get(name)
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise AwsError("BadRequestException", f"Invalid {name} <{text}>.") from None


def _refuse_tenant(call: Call) -> None:
    if name := call.params.get("TenantName"):
        raise AwsError("NotFoundException", f"Tenant <{name}> does not exist.", status=404)
