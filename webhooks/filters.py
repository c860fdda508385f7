"""Validation of the ids in an endpoint's filters (`domain_ids`, `pod_ids`, `inbox_ids`).

The filtered resources live in apps that this app doesn't import: FILTER_IDS in core.hooks has the
lookup functions. Ids of a filter without a lookup are not validated.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from accounts.models import Workspace
from core.hooks import collect

# Returns those of the given ids that exist in the workspace.
Lookup = Callable[[Workspace, Collection[UUID]], set[UUID]]

NAMES = {"domain_ids": "domain", "pod_ids": "pod", "inbox_ids": "inbox"}


def problems(workspace: Workspace, filters: Mapping[str, Sequence[UUID]]) -> dict[str, str]:
    """Errors by field path for ids that the workspace doesn't have. One query per used filter."""
    lookups: dict[str, Lookup] = dict(collect("FILTER_IDS"))
    errors: dict[str, str] = {}
    for field, ids in filters.items():
        if not ids or field not in lookups:
            continue
        existing = lookups[field](workspace, set(ids))
        for index, each in enumerate(ids):
            if each not in existing:
                error = f"there is no {NAMES[field]} {each} in this workspace"
                errors[f"{field}.{index}"] = error
    return errors
