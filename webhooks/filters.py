"""Validation of the ids in an endpoint's filters (`domain_ids`, `pod_ids`, `inbox_ids`).

The filtered resources live in apps that this app doesn't import, so those apps register a lookup
function. Ids of a filter without a lookup are not validated.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from accounts.models import Workspace

# Returns those of the given ids that exist in the workspace.
Lookup = Callable[[Workspace, Collection[UUID]], set[UUID]]

NAMES = {"domain_ids": "domain", "pod_ids": "pod", "inbox_ids": "inbox"}

_lookups: dict[str, Lookup] = {}


def know_by(field: str, lookup: Lookup) -> None:
    """Register the lookup for one of the filters in NAMES."""
    _lookups[field] = lookup


def problems(workspace: Workspace, filters: Mapping[str, Sequence[UUID]]) -> dict[str, str]:
    """Errors by field path for ids that the workspace doesn't have. One query per used filter."""
    errors: dict[str, str] = {}
    for field, ids in filters.items():
        if not ids or field not in _lookups:
            continue
        existing = _lookups[field](workspace, set(ids))
        for index, each in enumerate(ids):
            if each not in existing:
                error = f"there is no {NAMES[field]} {each} in this workspace"
                errors[f"{field}.{index}"] = error
    return errors
