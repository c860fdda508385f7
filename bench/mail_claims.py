"""`python -m bench.mail_claims <limit> <count>`: claim due mail that often, one claim at a time.

Prints the milliseconds of each claim as JSON. What was claimed is released in between, outside
the time.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from emails.models import Email

_WARM = 5
# As bench.rows.schedule left it.
_RELEASE = """
    UPDATE emails SET status = 'scheduled', next_attempt_at = scheduled_at, first_attempt_at = NULL,
           claims = 0, crashes = 0
     WHERE id = ANY(%s)
"""


def main(limit: int, count: int) -> list[float]:
    from emails.sending.loop import _lease_in  # what a worker does once the rate lets it

    taken = []
    for _ in range(_WARM + count):
        began = time.perf_counter()
        emails = _lease_in("ses", "us-east-1", limit)
        taken.append((time.perf_counter() - began) * 1000)
        if not emails:
            raise RuntimeError("nothing was due")
        _release(emails)
    return taken[_WARM:]


def _release(emails: Sequence["Email"]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [[email.pk for email in emails]])


if __name__ == "__main__":
    django.setup()
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
