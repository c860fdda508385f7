import json as json_format
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.security.key_rotation import RotationCount, rotate_all


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret with the first key of ENCRYPTION_KEYS. Prepend the new key,"
        " restart all processes, run this command, then remove the old key. Safe to repeat and to"
        " run while OpenSend is running."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, json: bool, **options: Any) -> None:
        counts = list(rotate_all())
        if json:
            self.stdout.write(json_format.dumps({"columns": [asdict(count) for count in counts]}))
        else:
            for count in counts:
                self.stdout.write(_summary(count))
        unreadable = [f"{count.table} {pk}" for count in counts for pk in count.unreadable]
        if unreadable:
            rows = "\n".join(unreadable)
            raise CommandError(
                f"{len(unreadable)} secrets could not be decrypted with any key of"
                f" ENCRYPTION_KEYS:\n{rows}"
            )


def _summary(count: RotationCount) -> str:
    return (
        f"{count.table}.{count.column}: {count.renewed} re-encrypted,"
        f" {count.already_new} already current, {len(count.unreadable)} unreadable"
    )
