"""Customers' own headers: delivery, validation, and secrecy of their values."""

import logging

import pytest

from webhooks.dispatch.loop import deliver_due
from webhooks.models import Endpoint

URL = "https://hooks.example.com/opensend"
VALUE = "Bearer 5ecret-5ecret-5ecret"


@pytest.fixture
def create(api):
    def make(headers, url=URL):
        return api.post("/webhooks", {"endpoint": url, "events": ["*"], "headers": headers})

    return make


def errors_of(answer):
    assert answer.status_code == 422, answer.json()
    assert not Endpoint.objects.exists()
    return answer.json()["details"]["fields"]


@pytest.mark.django_db(transaction=True)
class TestDelivery:
    def test_custom_headers_arrive_beside_the_standard_ones(self, sink, create, publish_events):
        given = {
            "Authorization": VALUE,
            "X-Tenant": " \tsurrounding whitespace\tis removed ~!\t ",
            "!#$%&'*+.^_`|~-09azAZ": '"quoted", and \\ more',
            "Cookie": "a=b",
            "Accept": "text/plain",
        }
        assert create(given, sink.url()).status_code == 201
        publish_events()
        deliver_due()
        [request] = sink.received
        for name, value in given.items():
            assert request.headers[name] == value.strip()
        assert request.header("Content-Type") == "application/json"
        assert request.header("User-Agent").startswith("OpenSend-Webhooks/")
        assert request.header("webhook-signature").startswith("v1,")

    def test_a_change_replaces_all_headers(self, sink, api, create, publish_events):
        made = create({"X-A": "a", "X-B": "b"}, sink.url()).json()
        path = f"/webhooks/{made['id']}"
        assert api.patch(path, {"description": "x"}).json()["header_names"] == ["X-A", "X-B"]
        assert api.patch(path, {"headers": {"x-b": "c"}}).json()["header_names"] == ["x-b"]
        publish_events()
        deliver_due()
        assert api.patch(path, {"headers": {}}).json()["header_names"] == []
        publish_events()
        deliver_due()
        first, second = ({name.lower(): v for name, v in r.headers.items()} for r in sink.received)
        assert (first["x-b"], "x-a" in first) == ("c", False)
        assert not {"x-a", "x-b"} & set(second)
        assert Endpoint.objects.get().encrypted_headers == ""

    def test_header_values_are_never_shown_or_logged(
        self, sink, api, create, publish_events, caplog
    ):
        for name in (None, "webhooks", "core", "aiohttp"):
            caplog.set_level(logging.INFO, logger=name)
        made = create({"Authorization": VALUE}, sink.url())
        path = f"/webhooks/{made.json()['id']}"
        sink.answers["/hook"] = None  # so that there is something to log
        publish_events()
        deliver_due()
        assert sink.received[0].header("Authorization") == VALUE
        assert "Webhook attempt failed" in caplog.text
        logged = [str(vars(record)) for record in caplog.records]
        answers = [
            made,
            api.get(path),
            api.get("/webhooks"),
            api.patch(path, {"description": "x"}),
            api.post(path + "/signing-secret/rotate"),
            api.patch(path, {"headers": {"X-\n": VALUE, "Host": VALUE, "X-A": VALUE + "\x00"}}),
        ]
        stored = repr(Endpoint.objects.values().get())
        for shown in [*logged, *[answer.content.decode() for answer in answers], stored]:
            assert "5ecret" not in shown
        assert "Authorization" in stored


@pytest.mark.django_db
class TestRefusals:
    @pytest.mark.parametrize(
        "name",
        [
            "Host",
            "content-LENGTH",
            "Content-Type",
            "Content-Encoding",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Upgrade",
            "HTTP2-Settings",
            "Expect",
            "Accept-Encoding",
            "User-Agent",
            "Proxy-Authorization",
            "proxy-connection",
            "Webhook-Id",
            "WEBHOOK-Signature",
            "svix-timestamp",
            "X-Event-Id",
            "x-timestamp",
            "X-SIGNATURE",
            "X-Attempt",
        ],
    )
    def test_reserved_names_are_refused(self, create, name):
        fields = errors_of(create({name: "x", "X-Fine": "y"}))
        assert set(fields) == {f"headers.{name}"}
        assert "set by OpenSend" in fields[f"headers.{name}"]

    @pytest.mark.parametrize(
        "name", ["", " X-A", "X A", "X:A", "X-A\r\nX-B", "X\x00", "Ä", "X(A)", "X/A", "X\t", '"X"']
    )
    def test_invalid_names_are_refused(self, create, name):
        [message] = errors_of(create({name: "x"})).values()
        assert "name" in message

    @pytest.mark.parametrize(
        "value",
        ["a\r\nX-B: c", "a\n", "\ra", "a\x00b", "\x00", "ä", "a\x7f", "\x1b[1m", "a\u2028b"],
    )
    def test_invalid_values_are_refused(self, create, value):
        fields = errors_of(create({"X-A": value}))
        assert set(fields) == {"headers.X-A"}
        assert "printable ASCII" in fields["headers.X-A"]

    @pytest.mark.parametrize("value", ["", " ", "\t"])
    def test_empty_values_are_refused(self, create, value):
        assert "must have a value" in errors_of(create({"X-A": value}))["headers.X-A"]

    def test_names_that_differ_only_in_case_are_refused(self, create):
        fields = errors_of(create({"X-A": "1", "x-a": "2"}))
        assert set(fields) == {"headers.x-a"}
        assert "duplicated" in fields["headers.x-a"]

    def test_every_invalid_header_is_listed(self, create):
        fields = errors_of(create({"Host": "a", "X-A": "\n", "X-B": "b"}))
        assert set(fields) == {"headers.Host", "headers.X-A"}

    def test_a_change_is_validated_too(self, api, create):
        made = create({"X-A": "a"}).json()
        answer = api.patch(f"/webhooks/{made['id']}", {"headers": {"Host": "b"}})
        assert set(answer.json()["details"]["fields"]) == {"headers.Host"}
        assert Endpoint.objects.get().header_names == ["X-A"]


@pytest.mark.django_db
class TestLimits:
    def test_at_most_twenty_headers(self, create):
        many = {f"X-{n}": "v" for n in range(21)}
        assert set(errors_of(create(many))) == {"headers"}
        many.popitem()
        assert len(create(many).json()["header_names"]) == 20

    def test_names_have_at_most_100_characters(self, create):
        [(path, message)] = errors_of(create({"X" * 101: "v"})).items()
        assert len(path) < 120
        assert "100" in message
        assert create({"X" * 100: "v"}).status_code == 201

    def test_values_have_at_most_2000_characters(self, create):
        assert "2,000" in errors_of(create({"X-A": "v" * 2001}))["headers.X-A"]
        assert create({"X-A": " " + "v" * 2000 + " "}).status_code == 201
