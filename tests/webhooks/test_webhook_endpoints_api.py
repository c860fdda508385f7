"""`/webhooks`: create, list, read, change and delete endpoints."""

import re

import pytest
from cryptography.fernet import Fernet

from core import crypto
from webhooks.models import Delivery, Endpoint
from webhooks.signing import opened

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.com/opensend"


@pytest.fixture
def created(api):
    answer = api.post("/webhooks", {"endpoint": URL, "events": ["email.sent", "contact.*"]})
    assert answer.status_code == 201, answer.json()
    return answer.json()


def fields_of(answer):
    assert answer.status_code == 422, answer.json()
    return answer.json()["details"]["fields"]


def test_creating_shows_the_endpoint_and_its_secret(created):
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", created.pop("signing_secret"))
    assert re.fullmatch(r"[0-9a-f-]{36}", created.pop("id"))
    assert re.fullmatch(r"[0-9T:.-]{23}Z", created.pop("created_at"))
    assert created == {
        "object": "webhook",
        "endpoint": URL,
        "events": ["email.sent", "contact.*"],
        "status": "enabled",
        "disabled_reason": None,
        "description": "",
    }


@pytest.mark.parametrize("where", ["endpoint", "url"])
@pytest.mark.parametrize("what", ["events", "event_types"])
def test_both_spellings_say_the_same(api, where, what):
    made = api.post("/webhooks", {where: URL, what: ["*"], "description": "CRM"}).json()
    assert (made["endpoint"], made["events"], made["description"]) == (URL, ["*"], "CRM")
    changed = api.patch(f"/webhooks/{made['id']}", {where: URL + "/2", what: ["email.*"]}).json()
    assert (changed["endpoint"], changed["events"]) == (URL + "/2", ["email.*"])


def test_both_spellings_at_once_are_refused(api):
    both = {"endpoint": URL, "url": URL + "/other", "events": ["*"]}
    assert set(fields_of(api.post("/webhooks", both))) == {"url"}


def test_the_secret_is_shown_at_creation_only(api, created):
    path = f"/webhooks/{created['id']}"
    for answer in [
        api.get(path),
        api.get("/webhooks"),
        api.patch(path, {"description": "x"}),
        api.delete(path),
    ]:
        assert answer.status_code == 200
        assert "whsec_" not in answer.content.decode()
        assert "secret" not in answer.content.decode()


def test_the_secret_is_encrypted_at_rest(created):
    stored = Endpoint.objects.values().get()
    secret = created["signing_secret"]
    assert secret.removeprefix("whsec_") not in repr(stored)
    assert opened(Endpoint.objects.get().encrypted_keyring).newest.secret == secret


def test_the_secret_outlives_a_change_of_keys(api, settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    try:
        settings.ENCRYPTION_KEYS = [old]
        crypto._fernet.cache_clear()
        made = api.post("/webhooks", {"endpoint": URL, "events": ["*"]}).json()
        settings.ENCRYPTION_KEYS = [new, old]
        crypto._fernet.cache_clear()
        assert Endpoint.objects.get().secret == made["signing_secret"]
        api.post("/webhooks", {"endpoint": URL, "events": ["*"]})
        newest = Endpoint.objects.latest("id").encrypted_keyring
        assert Fernet(new).decrypt(newest).startswith(b"whsec_")
    finally:
        crypto._fernet.cache_clear()


def test_each_endpoint_has_a_secret_of_its_own(api, created):
    other = api.post("/webhooks", {"endpoint": URL, "events": ["*"]}).json()
    assert other["signing_secret"] != created["signing_secret"]


def test_a_repeated_creation_with_the_same_key_makes_one_endpoint(api):
    body, key = {"endpoint": URL, "events": ["*"]}, {"Idempotency-Key": "k1"}
    first = api.post("/webhooks", body, headers=key)
    second = api.post("/webhooks", body, headers=key)
    assert first.json() == second.json()
    assert Endpoint.objects.count() == 1


def test_the_list_is_newest_first_and_paged(api):
    made = [
        api.post("/webhooks", {"endpoint": f"{URL}/{n}", "events": ["*"]}).json()["id"]
        for n in range(3)
    ]
    first = api.get("/webhooks", {"limit": 2}).json()
    assert first["object"] == "list"
    assert [item["id"] for item in first["data"]] == made[:0:-1]
    assert first["has_more"] is True
    rest = api.get("/webhooks", {"limit": 2, "after": first["data"][-1]["id"]}).json()
    assert [item["id"] for item in rest["data"]] == made[:1]
    assert rest["has_more"] is False


def test_reading_one(api, created):
    created.pop("signing_secret")
    assert api.get(f"/webhooks/{created['id']}").json() == created


def test_what_a_change_does_not_name_stays(api, created):
    path = f"/webhooks/{created['id']}"
    assert api.patch(path, {"description": "CRM"}).json()["description"] == "CRM"
    assert api.patch(path, {"status": "disabled"}).json()["status"] == "disabled"
    assert api.patch(path, {}).status_code == 200
    got = api.get(path).json()
    assert (got["endpoint"], got["events"]) == (URL, ["email.sent", "contact.*"])
    assert (got["status"], got["description"]) == ("disabled", "CRM")
    assert api.patch(path, {"status": "enabled"}).json()["status"] == "enabled"
    assert Endpoint.objects.get().secret == created["signing_secret"]


def test_deleting_takes_what_is_owed_along(api, created, django_assert_max_num_queries):
    endpoint = Endpoint.objects.get()
    _owe(endpoint, 30)
    with django_assert_max_num_queries(8):
        answer = api.delete(f"/webhooks/{created['id']}")
    assert answer.json() == {"object": "webhook", "id": created["id"], "deleted": True}
    assert not Delivery.objects.exists()
    assert api.get(f"/webhooks/{created['id']}").status_code == 404
    assert api.delete(f"/webhooks/{created['id']}").status_code == 404


def test_disabling_fails_what_is_owed(api, created):
    _owe(Endpoint.objects.get(), 2)
    Endpoint.objects.update(failures_in_a_row=7)
    api.patch(f"/webhooks/{created['id']}", {"status": "disabled"})
    settled = Delivery.objects.values_list("status", "last_error", "next_attempt_at")
    assert set(settled) == {("failed", "endpoint_disabled", None)}
    api.patch(f"/webhooks/{created['id']}", {"status": "enabled"})
    assert Endpoint.objects.get().failures_in_a_row == 0
    assert not Delivery.objects.exclude(status="failed").exists()


def _owe(endpoint, count):
    from events.services import Fact, publish

    events = publish([Fact("contact.created", endpoint.workspace_id, {})] * count)
    Delivery.objects.bulk_create([Delivery(endpoint=endpoint, event=event) for event in events])


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_other_peoples_endpoints_do_not_exist(stranger, created, method):
    answer = getattr(stranger, method)(f"/webhooks/{created['id']}")
    assert answer.status_code == 404
    assert answer.json()["name"] == "not_found"
    assert stranger.get("/webhooks").json()["data"] == []
    assert Endpoint.objects.get().status == "enabled"


@pytest.mark.parametrize("given", ["nonsense", "0", "018f0000-0000-7000-8000-000000000000"])
def test_an_id_that_is_none_is_not_found(api, given):
    assert api.get(f"/webhooks/{given}").status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "http://hooks.example.com/",
        "https://",
        "https://localhost/",
        "https://intranet/",
        "https://db.internal/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:1023/",
        "https://hooks.example.com:65536/",
        "https://user:pass@hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com/a b",
        "https://hooks.example.com\\@evil.example/",
        "https://hooks.example.com/\x00",
        "https://hooks.example.com/" + "x" * 2048,
        None,
        7,
        ["https://hooks.example.com/"],
    ],
)
def test_a_url_that_may_not_be_called_is_refused_by_name(api, settings, url):
    settings.WEBHOOK_ALLOW_HTTP = False
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    fields = fields_of(api.post("/webhooks", {"endpoint": url, "events": ["*"]}))
    assert set(fields) == {"endpoint"}
    assert len(fields["endpoint"]) > 10
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "https://hooks.example.com:443/x",
        "https://hooks.example.com:80/x",
        "https://hooks.example.com:1024/x",
        "https://hooks.example.com:65535/x?y=z",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://bücher.example/",
        "https://hooks.example.com/" + "x" * (2048 - 26),
    ],
)
def test_a_public_url_is_accepted_as_it_was_written(api, settings, url):
    settings.WEBHOOK_ALLOW_HTTP = False
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    answer = api.post("/webhooks", {"endpoint": url, "events": ["*"]})
    assert answer.status_code == 201, answer.json()
    assert answer.json()["endpoint"] == url


def test_http_is_accepted_where_the_installation_allows_it(api, settings):
    body = {"endpoint": "http://hooks.example.com/", "events": ["*"]}
    settings.WEBHOOK_ALLOW_HTTP = True
    assert api.post("/webhooks", body).status_code == 201


def test_a_change_to_a_bad_url_is_refused_and_changes_nothing(api, settings, created):
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    change = {"endpoint": "https://10.0.0.1/", "description": "x"}
    assert set(fields_of(api.patch(f"/webhooks/{created['id']}", change))) == {"endpoint"}
    endpoint = Endpoint.objects.get()
    assert (endpoint.url, endpoint.description) == (URL, "")


@pytest.mark.parametrize("name", ["email.exploded", "email", "EMAIL.SENT", "nothing.*", "**", ""])
def test_an_unknown_type_is_refused_by_name_and_place(api, name):
    body = {"endpoint": URL, "events": ["email.sent", name]}
    fields = fields_of(api.post("/webhooks", body))
    assert set(fields) == {"events.1"}
    assert f"`{name}`" in fields["events.1"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"events": []}, "events"),
        ({"events": ["*"] * 51}, "events"),
        ({"events": "*"}, "events"),
        ({"events": [7]}, "events.0"),
        ({"events": None}, "events"),
        ({"description": "x" * 501}, "description"),
        ({"description": None}, "description"),
        ({"colour": "red"}, "colour"),
        ({"signing_secret": "whsec_mine"}, "signing_secret"),
    ],
)
def test_a_wrong_field_is_refused_by_name(api, created, change, field):
    body = {"endpoint": URL, "events": ["*"]} | change
    assert set(fields_of(api.post("/webhooks", body))) == {field}
    assert set(fields_of(api.patch(f"/webhooks/{created['id']}", change))) == {field}


@pytest.mark.parametrize("status", ["paused", "", None, True])
def test_an_unknown_status_is_refused(api, created, status):
    answer = api.patch(f"/webhooks/{created['id']}", {"status": status})
    assert set(fields_of(answer)) == {"status"}


@pytest.mark.parametrize(
    ("body", "missing"),
    [({"events": ["*"]}, {"endpoint"}), ({"url": URL}, {"events"}), ({}, {"endpoint", "events"})],
)
def test_what_is_missing_is_named(api, body, missing):
    answer = api.post("/webhooks", body)
    assert set(fields_of(answer)) == missing
    assert answer.json()["name"] == "missing_required_field"
