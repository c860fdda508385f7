"""Request bodies without a Content-Length: chunked, or over HTTP/2."""

import json
from io import BytesIO

import pytest
import requests

from contacts.models import Suppression

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}
HTTP2 = {"SERVER_PROTOCOL": "HTTP/2"}


@pytest.fixture
def send(api):
    """`send(method, path, body, type)`: (status, JSON); the body arrives as from a WSGI server."""

    def send(method, path, body, content_type="application/json", *, how=CHUNKED, **headers):
        stream = BytesIO(body)
        environ = {"wsgi.input": stream, "wsgi.input_terminated": True}
        answer = api.generic(method, path, b"", content_type, **environ, **how, **headers)
        content = json.loads(answer.getvalue())
        assert not stream.read(), "the body was not read to its end"
        return answer.status_code, content

    return send


@pytest.mark.django_db
@pytest.mark.parametrize("how", [CHUNKED, HTTP2], ids=["chunked", "HTTP/2"])
def test_a_body_of_unknown_length_is_processed(send, how):
    created = send("POST", "/contacts", b'{"email": "a@example.net"}', how=how)
    assert created[0] == 201
    path = f"/contacts/{created[1]['id']}"
    assert send("PATCH", path, b'{"unsubscribed": true}', how=how)[0] == 200
    assert send("GET", path, b"", how=how)[1]["unsubscribed"] is True


@pytest.mark.django_db
def test_a_suppression_list_may_be_chunked(send, settings):
    settings.API_MAX_BODY_BYTES = 1000
    lines = "".join(f"somebody-{number}@example.net\n" for number in range(1000))
    status, content = send("POST", "/suppressions/import", lines.encode(), "text/csv")
    assert (status, content["added"]) == (200, 1000)
    assert Suppression.objects.count() == 1000


@pytest.mark.django_db
def test_a_form_may_be_chunked(send):
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\na@example.net'
    form += b"\r\n--x--\r\n"
    status, content = send("POST", "/suppressions/import", form, "multipart/form-data; boundary=x")
    assert (status, content["added"]) == (200, 1)


@pytest.mark.django_db
def test_a_body_of_unknown_length_has_the_same_limit(send, settings):
    settings.API_MAX_BODY_BYTES = 50_000
    assert send("POST", "/contacts", b" " * 50_001)[0] == 413
    body = b'{"email": "a@example.net"}'
    assert send("POST", "/contacts", body + b" " * (50_000 - len(body)))[0] == 201


@pytest.mark.django_db
def test_a_rejection_reads_a_body_of_unknown_length_to_its_end(send):
    headers = {"HTTP_AUTHORIZATION": "Bearer x"}
    assert send("POST", "/contacts", b" " * 500_000, **headers)[0] == 403


@pytest.mark.django_db
@pytest.mark.parametrize("how", [CHUNKED, HTTP2], ids=["chunked", "HTTP/2"])
def test_an_empty_body_needs_no_content_type(send, how):
    assert send("POST", "/contacts", b"", "", how=how)[1]["name"] == "missing_required_field"


def test_the_running_product_reads_chunked_bodies(product):
    def request(method, path, *pieces, kind="application/json"):
        return requests.request(
            method,
            product.facts["base_url"] + path,
            data=iter(pieces),
            headers={"Authorization": f"Bearer {product.facts['api_key']}", "Content-Type": kind},
            timeout=10,
        )

    created = request("POST", "/contacts", b'{"email": ', b'"in-chunks@example.net"}')
    assert created.status_code == 201
    path = f"/contacts/{created.json()['id']}"
    assert request("PATCH", path, b'{"unsubscribed"', b": true}").status_code == 200
    assert product.get(path)["unsubscribed"] is True
    list_of_two = request(
        "POST",
        "/suppressions/import",
        b"email\nx@exam",
        b"ple.net\ny@example.net\n",
        kind="text/csv",
    )
    assert list_of_two.json()["added"] == 2
    assert request("POST", "/contacts", *[b" " * 2**20] * 65).status_code == 413
