"""Copies SES's own suppression list into workspaces."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accounts.models import Workspace
from contacts import ses_list
from contacts.addresses import parse_suppressible_address
from contacts.models import SesRemoval
from contacts.ses_list import Listed, ListThrottled
from contacts.suppressions import SuppressionRequest, suppress

# SES allows about one call a second.
PAUSE_SECONDS = 1.0
_MAX_THROTTLED = 10


@dataclass(slots=True)
class Counts:
    """`listed` addresses were read from SES, `added` suppressions are new in all workspaces."""

    listed: int = 0
    added: int = 0
    invalid: int = 0
    # Of these the suppression was removed here, and SES has not removed them yet.
    being_removed: int = 0


def import_list(workspaces: Sequence[Workspace], region: str) -> Iterator[Counts]:
    """Suppress the addresses on the region's list in each workspace, page by page.

    Yields the same counts after each page. Importing the list again adds only what is missing.
    ListUnavailable when SES fails; what was committed stays.
    """
    counts = Counts()
    token = ""
    while True:
        page, token = _read_page(region, token)
        _import_page(workspaces, page, counts)
        yield counts
        if not token:
            return
        time.sleep(PAUSE_SECONDS)


def _read_page(region: str, token: str) -> tuple[list[Listed], str]:
    for attempt in range(_MAX_THROTTLED):
        try:
            return ses_list.read_page(region, token)
        except ListThrottled:
            time.sleep(PAUSE_SECONDS * 2 ** min(attempt, 5))
    return ses_list.read_page(region, token)


def _import_page(workspaces: Sequence[Workspace], page: list[Listed], counts: Counts) -> None:
    counts.listed += len(page)
    valid: dict[str, Listed] = {}
    for each in page:
        try:
            valid[parse_suppressible_address(each.email)] = each
        except ValueError:
            counts.invalid += 1
    for workspace in workspaces:
        leaving = SesRemoval.objects.open().filter(workspace=workspace, email__in=list(valid))
        kept = set(valid) - set(leaving.values_list("email", flat=True))
        counts.being_removed += len(valid) - len(kept)
        requests = [
            SuppressionRequest(
                workspace_id=workspace.pk,
                email=email,
                origin=valid[email].origin,
                at=valid[email].at,
            )
            for email in kept
        ]
        counts.added += len(suppress(requests))
