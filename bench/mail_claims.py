"""`python -m bench.mail_claims <limit> <count>`: claim due mail `count` times.

Prints the milliseconds of each claim as JSON. Claimed rows are released between claims, outside the
measured time.
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
# Restores the rows as bench.rows.schedule wrote them.
_RELEASE = """
    UPDATE emails SET status = 'scheduled', next_attempt_at = scheduled_at, first_attempt_at = NULL,
           claims = 0, crashes = 0
     WHERE id = ANY(%s)
"""


def main(limit: int, count: int) -> list[float]:
    from emails.sending.loop import _lease_lane  # the claim of a worker, after the rate limiter

    times = []
    for _ in range(_WARM + count):
        began = time.perf_counter()
        emails = _lease_lane("ses", "us-east-1", limit)
        times.append((time.perf_counter() - began) * 1000)
        if not emails:
            raise RuntimeError("no email is due")
        _release(emails)
    return times[_WARM:]


def _release(emails: Sequence["Email"]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [[email.pk for email in emails]])


if __name__ == "__main__":
    django.setup()
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
