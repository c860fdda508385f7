"""Beat stops between two passes, whenever the signal comes."""

import os
import signal
import threading
import time

import pytest
from celery.beat import Scheduler, Service

from opensend.celery import app

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)


@pytest.fixture
def beat():
    """`beat(tick)` runs beat with that as its pass; returns what it did."""
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    done = []

    class Passes(Scheduler):
        def setup_schedule(self):
            pass

        def close(self):
            done.append("close")

    def run(tick):
        def passes(scheduler):
            done.append("begin")
            interval = tick()
            done.append("end")
            return interval

        Passes.tick = passes
        Service(app, scheduler_cls=Passes).start()
        return done

    yield run
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def kill_in(seconds, number):
    threading.Timer(seconds, os.kill, (os.getpid(), number)).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_pass_is_finished_before_the_schedule_is_closed(beat, number):
    def tick():
        kill_in(0.1, number)
        time.sleep(0.5)  # like sending a task
        return 300

    begun = time.monotonic()
    assert beat(tick) == ["begin", "end", "close"]
    assert time.monotonic() - begun < 10


def test_its_sleep_ends_at_once(beat):
    kill_in(0.3, signal.SIGTERM)
    begun = time.monotonic()
    assert beat(lambda: 300) == ["begin", "end", "close"]
    assert time.monotonic() - begun < 10
