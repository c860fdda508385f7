import json as json_format
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.security.key_rotation import Tally, rotate_all


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret with the first key of ENCRYPTION_KEYS. Put a new key in front,"
        " restart all processes, run this, and then take the old key away. Safe to run again and"
        " while the product runs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, json: bool, **options: Any) -> None:
        tallies = list(rotate_all())
        if json:
            self.stdout.write(json_format.dumps({"columns": [asdict(each) for each in tallies]}))
        else:
            for tally in tallies:
                self.stdout.write(_line(tally))
        unreadable = [f"{each.table} {key}" for each in tallies for key in each.unreadable]
        if unreadable:
            listed = "\n".join(unreadable)
            raise CommandError(f"No key of ENCRYPTION_KEYS opens {len(unreadable)}:\n{listed}")


def _line(tally: Tally) -> str:
    return (
        f"{tally.table}.{tally.column}: {tally.renewed} renewed,"
        f" {tally.already_new} already new, {len(tally.unreadable)} unreadable"
    )
