import json as json_format
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core.queue.queues import queues_of
from core.queue.worker_loop import PASS_SECONDS, run_pass


class Command(BaseCommand):
    help = (
        "Work off a queue for one bounded pass, as a worker does, and print the counts. Safe beside"
        " running workers: they share the work by their leases."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = [queue.name for queue in queues_of(settings.APPS)]
        parser.add_argument("queue", choices=names)
        parser.add_argument(
            "--seconds", type=float, default=PASS_SECONDS, help="how long to go on claiming"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, queue: str, seconds: float, json: bool, **options: Any) -> None:
        (chosen,) = (each for each in queues_of(settings.APPS) if each.name == queue)
        done = run_pass(chosen, seconds=seconds)
        if json:
            self.stdout.write(json_format.dumps(done._asdict()))
        else:
            counts = (f"{count} {name}" for name, count in done._asdict().items())
            self.stdout.write(", ".join(counts))
