"""Budgets of waits, with the connections that those who wait hold."""

import threading
from contextlib import nullcontext

import pytest
from django.db import connection, transaction

from core.server import waits
from core.server.waits import TooManyWaits, Waits

pytestmark = pytest.mark.django_db(transaction=True)
IN_ALL = 4


@pytest.mark.parametrize(
    ("block", "patient"), [(nullcontext, 10), (transaction.atomic, IN_ALL // 2)]
)
def test_few_wait_for_their_turn_with_a_connection_of_the_pool(block, patient):
    """A store that hangs must not take every connection: each request in a transaction has one."""
    budget = Waits(lambda: TooManyWaits("busy", "Busy."), in_all=IN_ALL, patience=5.0)
    started, refused = threading.Barrier(IN_ALL + 1), threading.Semaphore(0)
    over, served = threading.Event(), []

    def request():
        try:
            with waits.request_in_lane(lambda: None), block(), budget.wait():
                served.append(1)
                if len(served) <= IN_ALL:
                    started.wait(10)
                    over.wait(10)
        except TooManyWaits:
            refused.release()
        finally:
            connection.close()

    threads = [threading.Thread(target=request) for _ in range(IN_ALL)]
    for thread in threads:
        thread.start()
    started.wait(10)
    others = [threading.Thread(target=request) for _ in range(10)]
    for thread in others:
        thread.start()
    for _ in range(10 - patient):
        assert refused.acquire(timeout=4), "at once, not after its patience"
    over.set()
    for thread in threads + others:
        thread.join(10)
    assert len(served) == IN_ALL + patient
