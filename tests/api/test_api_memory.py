"""A request's memory is freed with its response, without the garbage collector."""

import asyncio
import gc
import json

import pytest
from rest_framework.request import Request

from core.server.bodies import Body, Room
from core.server.lanes import Lane, Place
from core.server.views import View
from opensend.wsgi import application

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _gc_disabled():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def live_requests():
    return sum(issubclass(type(each), Request) for each in gc.get_objects())


def serve(token, mail, room):
    """Run one request as the server does; its status and its body."""
    body = Body(room)
    body.write(json.dumps(mail).encode())
    body.stream.seek(0)
    scope = {
        "method": "POST",
        "path": "/emails",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "headers": [
            (b"host", b"testserver"),
            (b"content-type", b"application/json"),
            (b"authorization", f"Bearer {token}".encode()),
        ],
    }
    place = Place(Lane("api", size=1, max_body=1))
    with asyncio.Runner() as runner:
        result = View(application, scope, body, place, runner.get_loop())()
    return result.status, body


@pytest.mark.usefixtures("_gc_disabled", "domain")
@pytest.mark.parametrize(("subject", "status"), [("Hello", 200), ("", 422)])
def test_a_request_leaves_no_reference_cycles(api_key, subject, status):
    mail = {"from": "a@example.com", "to": "b@example.net", "subject": subject, "text": "Hi"}
    serve(api_key[1], mail, Room())  # the first one imports and caches
    gc.collect()
    room, before = Room(), live_requests()
    all_memory = room.memory_left
    served, body = serve(api_key[1], mail, room)
    assert room.memory_left < all_memory
    body.close()

    assert served == status
    assert body.stream.closed  # which frees its memory, whatever still refers to it
    assert room.memory_left == all_memory
    assert live_requests() == before
