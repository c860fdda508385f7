from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from django.apps import AppConfig

if TYPE_CHECKING:
    from accounts.models import Workspace


class OpenSendConfig(AppConfig):
    """Where apps of one floor, which don't import each other, are put together."""

    name = "opensend"

    def ready(self) -> None:
        from webhooks.filters import know_by

        know_by("domain_ids", _domains)


def _domains(workspace: "Workspace", ids: Collection[UUID]) -> set[UUID]:
    from domains.models import Domain

    return set(
        Domain.objects.for_workspace(workspace).filter(pk__in=ids).values_list("pk", flat=True)
    )
