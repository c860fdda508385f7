"""A request's memory is freed with its response, without the garbage collector."""

import gc
import json
import weakref
from io import BytesIO

import pytest
from rest_framework.request import Request

from opensend.wsgi import application

pytestmark = pytest.mark.django_db(transaction=True)


class Input(BytesIO):
    """A BytesIO that supports weak references."""


@pytest.fixture
def _gc_disabled():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def live_requests():
    return sum(issubclass(type(each), Request) for each in gc.get_objects())


@pytest.mark.usefixtures("_gc_disabled")
@pytest.mark.parametrize(("subject", "status"), [("Hello", 200), ("", 422)])
def test_a_request_leaves_no_reference_cycles(api_key, domain, subject, status):
    mail = {"from": "a@example.com", "to": "b@example.net", "subject": subject, "text": "Hi"}
    body = json.dumps(mail).encode()
    stream, status_lines = Input(body), []
    reference, before = weakref.ref(stream), live_requests()
    answer = application(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/emails",
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": "application/json",
            "HTTP_AUTHORIZATION": f"Bearer {api_key[1]}",
            "wsgi.url_scheme": "http",
            "wsgi.input": stream,
        },
        lambda line, headers: status_lines.append(line),
    )
    answer.close()
    del stream, answer

    assert status_lines[0].startswith(str(status))
    assert reference() is None
    assert live_requests() == before
