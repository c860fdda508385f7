"""The ids by which endpoints leave events out, and who knows which of them there are.

What they name lives in apps that this one doesn't import, so those are asked for by name. Ids
that nobody answers for are taken as they are.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from accounts.models import Workspace

# Of the given ids, those of the workspace.
Known = Callable[[Workspace, Collection[UUID]], set[UUID]]

NAMES = {"domain_ids": "domain", "pod_ids": "pod", "inbox_ids": "inbox"}

_known: dict[str, Known] = {}


def know_by(field: str, known: Known) -> None:
    """Ask this for the ids of one of NAMES."""
    _known[field] = known


def problems(workspace: Workspace, filters: Mapping[str, Sequence[UUID]]) -> dict[str, str]:
    """The ids that the workspace doesn't have, by field path; a query a filter that has ids."""
    found: dict[str, str] = {}
    for field, ids in filters.items():
        if not ids or field not in _known:
            continue
        there = _known[field](workspace, set(ids))
        for index, each in enumerate(ids):
            if each not in there:
                what = f"there is no {NAMES[field]} {each} in this workspace"
                found[f"{field}.{index}"] = what
    return found
