import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from ingest.models import ProviderEvent
from ingest.services import received_since, reprocess

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def age(given: str) -> timedelta:
    """`90m`, `2h` or `7d`."""
    found = re.fullmatch(r"(\d{1,6})([mhd])", given)
    if found is None:
        raise ArgumentTypeError("must be a number with m, h or d behind it, such as 2h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


class Command(BaseCommand):
    help = "Run stored provider callbacks again. Facts that are known already change nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since", type=age, default=timedelta(hours=24), help="how far back: 90m, 24h, 7d"
        )
        parser.add_argument(
            "--state",
            choices=["quarantined", "unmatched", "processed"],
            default="quarantined",
            help="which callbacks",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count them")

    def handle(self, *, since: timedelta, state: str, dry_run: bool, **options: Any) -> None:
        rows = received_since(since).filter(state=ProviderEvent.State(state))
        if dry_run:
            self.stdout.write(f"{rows.count()} callbacks would be run again.")
        else:
            self.stdout.write(f"{reprocess(rows)} callbacks are due again.")
