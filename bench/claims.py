"""`python -m bench.claims <limit> <count>`: claim deliveries `count` times.

Prints the milliseconds of each claim as JSON. Claimed rows are released between claims, outside the
measured time.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import django
from django.conf import settings

if TYPE_CHECKING:
    from webhooks.dispatch.claim import Job

_WARM = 5
# Restores the rows as bench.rows.create_deliveries wrote them: due since their creation.
_RELEASE = """
    UPDATE webhook_deliveries
       SET status = 'pending', next_attempt_at = created_at, claims = 0, crashes = 0
     WHERE id = ANY(%s)
"""


def main(limit: int, count: int) -> list[float]:
    from webhooks.dispatch.claim import claim

    times = []
    for _ in range(_WARM + count):
        began = time.perf_counter()
        jobs = claim(limit, share=settings.WEBHOOK_PER_ENDPOINT)
        times.append((time.perf_counter() - began) * 1000)
        if not jobs:
            raise RuntimeError("no delivery is due")
        _release(jobs)
    return times[_WARM:]


def _release(jobs: Sequence["Job"]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [[job.delivery.pk for job in jobs]])


if __name__ == "__main__":
    django.setup()
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
