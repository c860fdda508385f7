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


def iso_time(value: str) -> datetime:
    try:
        return from_iso(value)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


class Command(BaseCommand):
    help = "Send the events of a time span to an endpoint again. Needs no worker to queue them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("endpoint_id", help="the webhook's id")
        parser.add_argument(
            "--since",
            type=iso_time,
            required=True,
            help="start of the span, inclusive: 2026-05-10T00:00:00Z",
        )
        parser.add_argument(
            "--until", type=iso_time, help="end of the span, exclusive; default: now"
        )
        parser.add_argument(
            "--only",
            choices=Recovery.Only.values,
            default="failed",
            help="failed and missed events, or all events",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count the events")
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
            counted = self._count(endpoint, span, verbose=not json)
            recovery = None if dry_run else self._recover(endpoint, span, verbose=not json)
        except DomainError as error:
            raise CommandError(error.message) from None
        if json:
            self.stdout.write(_as_json(endpoint, counted, recovery))
        if recovery and recovery.last_error:
            raise CommandError(recovery.last_error)

    def _count(self, endpoint: Endpoint, span: Span, *, verbose: bool) -> int:
        replay.check_span(span["since"], span["until"])
        replay.require_enabled(endpoint)
        counted = replay.count(endpoint, **span)
        if verbose:
            more = " or more" if counted == replay.COUNT_LIMIT else ""
            self.stdout.write(f"{counted}{more} events would be sent to {endpoint.url}.")
        return counted

    def _recover(self, endpoint: Endpoint, span: Span, *, verbose: bool) -> Recovery:
        recovery = replay.start_recovery(endpoint, **span)
        replay.finish(recovery)
        if verbose:
            self.stdout.write(f"{recovery.recovered} events are queued for sending.")
        return recovery


def _endpoint(endpoint_id: str) -> Endpoint:
    try:
        endpoint = Endpoint.objects.filter(pk=UUID(endpoint_id), deleted_at=None).first()
    except ValueError:
        endpoint = None
    if endpoint is None:
        raise CommandError(f"There is no webhook {endpoint_id}.")
    return endpoint


def _as_json(endpoint: Endpoint, counted: int, recovery: Recovery | None) -> str:
    """`recovery` is null after a dry run."""
    result = recovery and {
        "id": str(recovery.pk),
        "status": replay.status_of(recovery),
        "recovered": recovery.recovered,
        "error": recovery.last_error or None,
    }
    return json.dumps({"webhook_id": str(endpoint.pk), "counted": counted, "recovery": result})
