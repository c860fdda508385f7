"""Where apps of one floor, which don't import each other, meet."""

from collections.abc import Collection
from uuid import UUID

from accounts.models import Workspace
from domains.models import Domain


def _known_domains(workspace: Workspace, ids: Collection[UUID]) -> set[UUID]:
    rows = Domain.objects.live().for_workspace(workspace).filter(pk__in=ids)
    return set(rows.values_list("pk", flat=True))


FILTER_IDS = [("domain_ids", _known_domains)]
