"""Races with a worker that sends."""

import threading
import time
from contextlib import contextmanager

from emails.sending.loop import send_due
from tests.database import concurrently


@contextmanager
def sending_begins(number):
    """A worker on another connection sends what is due while the block runs.

    Rounds of different numbers begin the block at different moments: of twenty, one before the
    worker looks, and one after it has sent.
    """
    start = threading.Barrier(2)
    moment = number % 20

    def send():
        start.wait(10)
        return send_due()

    with concurrently(send) as sending:
        if moment == 0:
            yield
        start.wait(10)
        if moment == 19:
            sending.result(10)
        elif number % 3:
            time.sleep(0.0004 * moment)
        if moment:
            yield
