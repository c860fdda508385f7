"""Races with a worker that sends."""

import threading
import time
from contextlib import contextmanager

from emails.sending.loop import send_due
from tests.database import concurrently


@contextmanager
def sending_begins(number):
    """A worker on another connection sends what is due while the block runs.

    Rounds of different numbers begin the block at different moments, otherwise nearly always the
    same side wins.
    """
    start = threading.Barrier(2)

    def send():
        start.wait(10)
        return send_due()

    with concurrently(send):
        start.wait(10)
        if number % 3:
            time.sleep(0.0004 * (number % 20))
        yield
