"""Headers that a customer wants sent along: which may be, and who gets to see their values."""

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


def refused(answer):
    assert answer.status_code == 422, answer.json()
    assert not Endpoint.objects.exists()
    return answer.json()["details"]["fields"]


@pytest.mark.django_db(transaction=True)
class TestDelivery:
    def test_they_arrive_beside_ours(self, sink, create, happen):
        given = {
            "Authorization": VALUE,
            "X-Tenant": " \tspace around\tis none of it ~!\t ",
            "!#$%&'*+.^_`|~-09azAZ": '"quoted", and \\ more',
            "Cookie": "a=b",
            "Accept": "text/plain",
        }
        assert create(given, sink.url()).status_code == 201
        happen()
        deliver_due()
        [request] = sink.received
        for name, value in given.items():
            assert request.headers[name] == value.strip()
        assert request.header("Content-Type") == "application/json"
        assert request.header("User-Agent").startswith("OpenSend-Webhooks/")
        assert request.header("webhook-signature").startswith("v1,")

    def test_a_change_replaces_them_all(self, sink, api, create, happen):
        made = create({"X-A": "a", "X-B": "b"}, sink.url()).json()
        path = f"/webhooks/{made['id']}"
        assert api.patch(path, {"description": "x"}).json()["header_names"] == ["X-A", "X-B"]
        assert api.patch(path, {"headers": {"x-b": "c"}}).json()["header_names"] == ["x-b"]
        happen()
        deliver_due()
        assert api.patch(path, {"headers": {}}).json()["header_names"] == []
        happen()
        deliver_due()
        first, second = ({name.lower(): v for name, v in r.headers.items()} for r in sink.received)
        assert (first["x-b"], "x-a" in first) == ("c", False)
        assert not {"x-a", "x-b"} & set(second)
        assert Endpoint.objects.get().encrypted_headers == ""

    def test_nobody_sees_their_values(self, sink, api, create, happen, caplog):
        for name in (None, "webhooks", "core", "aiohttp"):
            caplog.set_level(logging.INFO, logger=name)
        made = create({"Authorization": VALUE}, sink.url())
        path = f"/webhooks/{made.json()['id']}"
        sink.answers["/hook"] = None  # so that there is something to log
        happen()
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
    def test_what_we_or_http_set(self, create, name):
        fields = refused(create({name: "x", "X-Fine": "y"}))
        assert set(fields) == {f"headers.{name}"}
        assert "set by OpenSend" in fields[f"headers.{name}"]

    @pytest.mark.parametrize(
        "name", ["", " X-A", "X A", "X:A", "X-A\r\nX-B", "X\x00", "Ä", "X(A)", "X/A", "X\t", '"X"']
    )
    def test_a_name_that_is_none(self, create, name):
        [message] = refused(create({name: "x"})).values()
        assert "name" in message

    @pytest.mark.parametrize(
        "value",
        ["a\r\nX-B: c", "a\n", "\ra", "a\x00b", "\x00", "ä", "a\x7f", "\x1b[1m", "a\u2028b"],
    )
    def test_a_value_that_is_none(self, create, value):
        fields = refused(create({"X-A": value}))
        assert set(fields) == {"headers.X-A"}
        assert "printable ASCII" in fields["headers.X-A"]

    @pytest.mark.parametrize("value", ["", " ", "\t"])
    def test_a_value_of_nothing(self, create, value):
        assert "must have a value" in refused(create({"X-A": value}))["headers.X-A"]

    def test_names_that_differ_in_case_only(self, create):
        fields = refused(create({"X-A": "1", "x-a": "2"}))
        assert set(fields) == {"headers.x-a"}
        assert "twice" in fields["headers.x-a"]

    def test_every_refused_header_is_named(self, create):
        fields = refused(create({"Host": "a", "X-A": "\n", "X-B": "b"}))
        assert set(fields) == {"headers.Host", "headers.X-A"}

    def test_a_change_is_held_to_the_same(self, api, create):
        made = create({"X-A": "a"}).json()
        answer = api.patch(f"/webhooks/{made['id']}", {"headers": {"Host": "b"}})
        assert set(answer.json()["details"]["fields"]) == {"headers.Host"}
        assert Endpoint.objects.get().header_names == ["X-A"]


@pytest.mark.django_db
class TestLimits:
    def test_twenty_headers_and_no_more(self, create):
        many = {f"X-{n}": "v" for n in range(21)}
        assert set(refused(create(many))) == {"headers"}
        many.popitem()
        assert len(create(many).json()["header_names"]) == 20

    def test_a_hundred_characters_of_a_name_and_no_more(self, create):
        [(path, message)] = refused(create({"X" * 101: "v"})).items()
        assert len(path) < 120
        assert "100" in message
        assert create({"X" * 100: "v"}).status_code == 201

    def test_two_thousand_characters_of_a_value_and_no_more(self, create):
        assert "2,000" in refused(create({"X-A": "v" * 2001}))["headers.X-A"]
        assert create({"X-A": " " + "v" * 2000 + " "}).status_code == 201
