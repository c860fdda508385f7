"""What a request brought is gone with its answer, and not when the collector comes by."""

import gc
import json
import weakref
from io import BytesIO

import pytest
from rest_framework.request import Request

from opensend.wsgi import application

pytestmark = pytest.mark.django_db(transaction=True)


class Input(BytesIO):
    """Bytes to which there can be a weak reference."""


@pytest.fixture
def _no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive():
    return sum(isinstance(each, Request) for each in gc.get_objects())


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize(("subject", "status"), [("Hello", 200), ("", 422)])
def test_nothing_of_a_request_waits_for_the_collector(api_key, domain, subject, status):
    mail = {"from": "a@example.com", "to": "b@example.net", "subject": subject, "text": "Hi"}
    body = json.dumps(mail).encode()
    came, answered = Input(body), []
    left, before = weakref.ref(came), alive()
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
            "wsgi.input": came,
        },
        lambda line, headers: answered.append(line),
    )
    answer.close()
    del came, answer

    assert answered[0].startswith(str(status))
    assert left() is None
    assert alive() == before
