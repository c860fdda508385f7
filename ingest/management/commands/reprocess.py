import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from ingest.models import ProviderEvent
from ingest.services import received_since, reprocess

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def age(value: str) -> timedelta:
    """`90m`, `2h` or `7d`."""
    match = re.fullmatch(r"(\d{1,6})([mhd])", value)
    if match is None:
        raise ArgumentTypeError("must be a number followed by m, h or d, such as 2h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


class Command(BaseCommand):
    help = "Reprocess stored provider callbacks. This is safe: known facts change nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since",
            type=age,
            default=timedelta(hours=24),
            help="how far back to go: 90m, 24h or 7d (default: 24h)",
        )
        parser.add_argument(
            "--state",
            choices=["quarantined", "unmatched", "processed"],
            default="quarantined",
            help="state of the callbacks (default: quarantined)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count the callbacks")

    def handle(self, *, since: timedelta, state: str, dry_run: bool, **options: Any) -> None:
        rows = received_since(since).filter(state=ProviderEvent.State(state))
        if dry_run:
            self.stdout.write(f"{rows.count()} callbacks would be reprocessed.")
        else:
            self.stdout.write(f"{reprocess(rows)} callbacks will be reprocessed.")
