"""Bodies that don't tell their length ahead: in chunks, or by HTTP/2."""

import json
from io import BytesIO

import pytest
import requests

from contacts.models import Suppression

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}
HTTP2 = {"SERVER_PROTOCOL": "HTTP/2"}


@pytest.fixture
def sent(api):
    """`sent(method, path, body, type)`: status and JSON, as a server of WSGI hands it over."""

    def send(method, path, body, content_type="application/json", *, how=CHUNKED, **headers):
        came = BytesIO(body)
        environ = {"wsgi.input": came, "wsgi.input_terminated": True}
        answer = api.generic(method, path, b"", content_type, **environ, **how, **headers)
        told = json.loads(answer.getvalue())
        assert not came.read(), "something was left unread"
        return answer.status_code, told

    return send


@pytest.mark.django_db
@pytest.mark.parametrize("how", [CHUNKED, HTTP2], ids=["chunked", "HTTP/2"])
def test_what_a_body_of_unknown_length_asks_for_is_done(sent, how):
    created = sent("POST", "/contacts", b'{"email": "a@example.net"}', how=how)
    assert created[0] == 201
    path = f"/contacts/{created[1]['id']}"
    assert sent("PATCH", path, b'{"unsubscribed": true}', how=how)[0] == 200
    assert sent("GET", path, b"", how=how)[1]["unsubscribed"] is True


@pytest.mark.django_db
def test_a_list_of_any_length_may_come_in_chunks(sent, settings):
    settings.API_MAX_BODY_BYTES = 1000
    lines = [f"somebody-{number}@example.net" for number in range(1000)]
    status, told = sent("POST", "/suppressions/import", "\n".join(lines).encode(), "text/csv")
    assert (status, told["added"]) == (200, 1000)
    assert Suppression.objects.count() == 1000


@pytest.mark.django_db
def test_a_form_may_come_in_chunks(sent):
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\na@example.net'
    form += b"\r\n--x--\r\n"
    status, told = sent("POST", "/suppressions/import", form, "multipart/form-data; boundary=x")
    assert (status, told["added"]) == (200, 1)


@pytest.mark.django_db
def test_a_body_of_unknown_length_has_the_same_limit(sent, settings):
    settings.API_MAX_BODY_BYTES = 50_000
    assert sent("POST", "/contacts", b" " * 50_001)[0] == 413
    body = b'{"email": "a@example.net"}'
    assert sent("POST", "/contacts", body + b" " * (50_000 - len(body)))[0] == 201


@pytest.mark.django_db
def test_a_refusal_awaits_the_end_of_a_body_of_unknown_length(sent):
    headers = {"HTTP_AUTHORIZATION": "Bearer x"}
    assert sent("POST", "/contacts", b" " * 500_000, **headers)[0] == 403


@pytest.mark.django_db
@pytest.mark.parametrize("how", [CHUNKED, HTTP2], ids=["chunked", "HTTP/2"])
def test_no_body_at_all_needs_no_type(sent, how):
    assert sent("POST", "/contacts", b"", "", how=how)[1]["name"] == "missing_required_field"


def test_the_running_product_reads_bodies_in_chunks(product):
    def ask(method, path, *pieces, kind="application/json"):
        return requests.request(
            method,
            product.facts["base_url"] + path,
            data=iter(pieces),
            headers={"Authorization": f"Bearer {product.facts['api_key']}", "Content-Type": kind},
            timeout=10,
        )

    made = ask("POST", "/contacts", b'{"email": ', b'"in-chunks@example.net"}')
    assert made.status_code == 201
    path = f"/contacts/{made.json()['id']}"
    assert ask("PATCH", path, b'{"unsubscribed"', b": true}").status_code == 200
    assert product.get(path)["unsubscribed"] is True
    list_of_two = ask(
        "POST", "/suppressions/import", b"email\nx@exam", b"ple.net\ny@example.net", kind="text/csv"
    )
    assert list_of_two.json()["added"] == 2
    assert ask("POST", "/contacts", *[b" " * 2**20] * 65).status_code == 413
