from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from events.reference import page


class Command(BaseCommand):
    help = "Generate the event reference page from the catalogue."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--write", type=Path, required=True, help="path of the page, such as docs/events.md"
        )

    def handle(self, *, write: Path, **options: Any) -> None:
        write.write_text(page())
