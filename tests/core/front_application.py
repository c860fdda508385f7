"""The application that tests/core/front_server.py serves: the front before a small WSGI program.

`POST /echo` tells what arrived. `/wait/<seconds>` blocks its thread, `/budget/<seconds>` as a wait
with a budget. `/stream/<count>` answers in pieces. `GET /log` lists the requests that ran.
"""

import json
import os
import threading
import time
from uuid import UUID

import django

time.sleep(float(os.environ.get("START_SECONDS", "0")))
django.setup()

from core.api import dialects  # noqa: E402 (after the setup)
from core.server import Front, Lane, bodies, lanes  # noqa: E402
from core.server.waits import TooManyWaits, Waits  # noqa: E402

bodies.PAUSE_SECONDS = float(os.environ["PAUSE_SECONDS"])
lanes.QUEUE_SECONDS = float(os.environ["QUEUE_SECONDS"])
lanes.SHED_SECONDS = lanes.QUEUE_SECONDS / 2
dialects._prefixes = lambda: [("/v1/", "mailbox")]

RAN = []
BUDGET = Waits(lambda: TooManyWaits("too_many_tests", "Too many."), in_all=3, per_workspace=2)


class Answer(list):
    """As Django's: a response that says whether it streams, and is closed."""

    def __init__(self, pieces, *, streaming=False):
        super().__init__(pieces)
        self.streaming = streaming

    def close(self):
        pass


def echo(environ):
    body = environ["wsgi.input"].read()
    seen = {name: value for name, value in environ.items() if name.isupper()}
    return {"length": len(body), "start": body[:100].decode("latin-1"), "environ": seen}


def budget(environ):
    workspace = UUID(int=int(environ["QUERY_STRING"] or 0))
    try:
        with BUDGET.wait(workspace):
            time.sleep(float(environ["PATH_INFO"].rpartition("/")[2]))
    except TooManyWaits as error:
        return {"refused": error.name}
    return {}


def application(environ, start_response):
    path = environ["PATH_INFO"]
    content = {"thread": threading.get_ident()}
    if path != "/log":
        RAN.append(path)
    if path == "/log":
        content = RAN
    elif path.startswith("/wait/"):
        time.sleep(float(path.rpartition("/")[2]))
    elif path.startswith("/budget/"):
        content = budget(environ)
    elif path.startswith("/stream/"):
        count = int(path.rpartition("/")[2])
        start_response("200 OK", [("Content-Type", "text/csv")])
        return Stream(count)
    else:
        content = echo(environ)
    start_response("200 OK", [("Content-Type", "application/json")])
    return Answer([json.dumps(content).encode()])


class Stream:
    """`count` pieces of 64 KiB; the last of 13 pieces fails."""

    streaming = True

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        for number in range(self.count):
            if number == 12 and self.count == 13:
                raise RuntimeError("broken half-way")
            yield b"x" * 65536

    def close(self):
        RAN.append("closed")


LANES = {
    "/log": Lane("operations", size=1, max_body=0),
    "/events/": Lane("callbacks", size=1, max_body=512 * 1024),
    "": Lane("api", size=2, max_body=4 * 1024 * 1024),
}


def lane_of(method, path):
    return next(lane for prefix, lane in LANES.items() if path.startswith(prefix))


front = Front(application, lanes=lane_of, health={"status": "ok"})
