from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from django.apps import AppConfig

if TYPE_CHECKING:
    from accounts.models import Workspace


class OpenSendConfig(AppConfig):
    """Connects apps of the same layer, which must not import each other."""

    name = "opensend"

    def ready(self) -> None:
        from webhooks.filters import know_by

        know_by("domain_ids", _known_domains)


def _known_domains(workspace: "Workspace", ids: Collection[UUID]) -> set[UUID]:
    from domains.models import Domain

    return set(
        Domain.objects.for_workspace(workspace).filter(pk__in=ids).values_list("pk", flat=True)
    )
