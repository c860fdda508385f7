import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.errors import DomainError
from core.times import from_iso
from webhooks import replay
from webhooks.models import Endpoint, Recovery


class Span(TypedDict):
    since: datetime
    until: datetime
    only: str


def moment(given: str) -> datetime:
    try:
        return from_iso(given)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


class Command(BaseCommand):
    help = "Send an endpoint again what happened in a span of time. Works without a worker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("endpoint_id", help="the webhook's id")
        parser.add_argument(
            "--since", type=moment, required=True, help="from then on: 2026-05-10T00:00:00Z"
        )
        parser.add_argument("--until", type=moment, help="before then; now unless given")
        parser.add_argument(
            "--only",
            choices=Recovery.Only.values,
            default="failed",
            help="what failed or was missed, or all",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(
        self,
        *,
        endpoint_id: str,
        since: datetime,
        until: datetime | None,
        only: str,
        dry_run: bool,
        json: bool,
        **options: Any,
    ) -> None:
        span = Span(since=since, until=until or timezone.now(), only=only)
        try:
            endpoint = _endpoint(endpoint_id)
            counted = self._count(endpoint, span, aloud=not json)
            recovery = None if dry_run else self._recover(endpoint, span, aloud=not json)
        except DomainError as error:
            raise CommandError(error.message) from None
        if json:
            self.stdout.write(_as_json(endpoint, counted, recovery))
        if recovery and recovery.last_error:
            raise CommandError(recovery.last_error)

    def _count(self, endpoint: Endpoint, span: Span, *, aloud: bool) -> int:
        replay.check_span(span["since"], span["until"])
        replay.require_enabled(endpoint)
        counted = replay.count(endpoint, **span)
        if aloud:
            more = " or more" if counted == replay.COUNTED else ""
            self.stdout.write(f"{counted}{more} events would be sent to {endpoint.url}.")
        return counted

    def _recover(self, endpoint: Endpoint, span: Span, *, aloud: bool) -> Recovery:
        recovery = replay.start_recovery(endpoint, **span)
        replay.finish(recovery)
        if aloud:
            self.stdout.write(f"{recovery.recovered} events are due to be sent.")
        return recovery


def _endpoint(given: str) -> Endpoint:
    try:
        endpoint = Endpoint.objects.filter(pk=UUID(given), deleted_at=None).first()
    except ValueError:
        endpoint = None
    if endpoint is None:
        raise CommandError(f"There is no webhook {given}.")
    return endpoint


def _as_json(endpoint: Endpoint, counted: int, recovery: Recovery | None) -> str:
    """`recovery` is null after a dry run."""
    done = recovery and {
        "id": str(recovery.pk),
        "status": replay.status_of(recovery),
        "recovered": recovery.recovered,
        "error": recovery.last_error or None,
    }
    return json.dumps({"webhook_id": str(endpoint.pk), "counted": counted, "recovery": done})
