"""`/webhooks`: create, list, read, change and delete endpoints."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from core.errors import NotFound
from core.times import iso
from tests.clients import rejected_fields
from webhooks import services
from webhooks.dispatch.signing import decrypt_keyring
from webhooks.models import Endpoint, EndpointRateLimit

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.com/opensend"


@pytest.fixture
def created(api):
    answer = api.post("/webhooks", {"endpoint": URL, "events": ["email.sent", "contact.*"]})
    assert answer.status_code == 201, answer.json()
    return answer.json()


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
        "disabled_at": None,
        "failing_since": None,
        "description": "",
        "header_names": [],
        "domain_ids": [],
        "pod_ids": [],
        "inbox_ids": [],
        "rate_limit": None,
        "ed25519": False,
        "public_key": None,
    }


@pytest.mark.parametrize("where", ["endpoint", "url"])
@pytest.mark.parametrize("what", ["events", "event_types"])
def test_both_field_names_are_equivalent(api, where, what):
    made = api.post("/webhooks", {where: URL, what: ["*"], "description": "CRM"}).json()
    assert (made["endpoint"], made["events"], made["description"]) == (URL, ["*"], "CRM")
    changed = api.patch(f"/webhooks/{made['id']}", {where: URL + "/2", what: ["email.*"]}).json()
    assert (changed["endpoint"], changed["events"]) == (URL + "/2", ["email.*"])


def test_both_field_names_at_once_are_refused(api):
    both = {"endpoint": URL, "url": URL, "events": ["*"], "event_types": ["*"]}
    errors = {
        "url": "give `endpoint` or `url`, not both",
        "event_types": "give `events` or `event_types`, not both",
    }
    assert rejected_fields(api.post("/webhooks", both)) == errors
    made = api.post("/webhooks", {"endpoint": URL, "events": ["*"]}).json()["id"]
    assert rejected_fields(api.patch(f"/webhooks/{made}", both)) == errors


@pytest.mark.parametrize("where", ["endpoint", "url"])
@pytest.mark.parametrize("what", ["events", "event_types"])
def test_errors_use_the_field_names_of_the_request(api, created, where, what):
    for wrong, paths in (
        ({where: "nonsense", what: ["*", "whim"]}, {where, f"{what}.1"}),
        ({where: 5, what: [5]}, {where, f"{what}.0"}),
    ):
        assert set(rejected_fields(api.post("/webhooks", wrong))) == paths
        assert set(rejected_fields(api.patch(f"/webhooks/{created['id']}", wrong))) == paths


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
    assert decrypt_keyring(Endpoint.objects.get().encrypted_keyring).newest.secret == secret


def test_the_response_with_the_secret_is_not_cached(api):
    body, key = {"endpoint": URL, "events": ["*"]}, {"Idempotency-Key": "k1"}
    for _ in range(2):
        assert api.post("/webhooks", body, headers=key)["Cache-Control"] == "no-store"


def test_each_endpoint_has_a_secret_of_its_own(api, created):
    other = api.post("/webhooks", {"endpoint": URL, "events": ["*"]}).json()
    assert other["signing_secret"] != created["signing_secret"]


def test_an_idempotency_key_creates_one_endpoint(api):
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


def test_fields_omitted_from_a_change_stay(api, created):
    path = f"/webhooks/{created['id']}"
    assert api.patch(path, {"description": "CRM"}).json()["description"] == "CRM"
    assert api.patch(path, {"status": "disabled"}).json()["status"] == "disabled"
    assert api.patch(path, {}).status_code == 200
    got = api.get(path).json()
    assert (got["endpoint"], got["events"]) == (URL, ["email.sent", "contact.*"])
    assert (got["status"], got["description"]) == ("disabled", "CRM")
    assert api.patch(path, {"status": "enabled"}).json()["status"] == "enabled"
    newest = decrypt_keyring(Endpoint.objects.get().encrypted_keyring).newest
    assert newest.secret == created["signing_secret"]


def test_a_deleted_endpoint_is_hidden_immediately(api, created):
    path = f"/webhooks/{created['id']}"
    assert api.delete(path).json() == {"object": "webhook", "id": created["id"], "deleted": True}
    for answer in [
        api.get(path),
        api.patch(path, {"status": "enabled"}),
        api.delete(path),
        api.post(path + "/signing-secret/rotate"),
    ]:
        assert (answer.status_code, answer.json()["name"]) == (404, "not_found")
    assert api.get("/webhooks").json()["data"] == []


def test_a_change_that_began_before_the_deletion_does_not_undo_it(created):
    endpoint = Endpoint.objects.get()
    services.delete_endpoint(Endpoint.objects.get())
    with pytest.raises(NotFound):
        services.update_endpoint(endpoint, {"status": "enabled"})
    assert Endpoint.objects.get().status == "disabled"


FAILING = {
    "failures_in_a_row": 7,
    "failing_since": timezone.now() - timedelta(days=2),
    "failing_notified_at": timezone.now() - timedelta(days=1),
    "probe_at": timezone.now(),
}


def test_enabling_clears_the_failure_history(api, created):
    path = f"/webhooks/{created['id']}"
    since = timezone.now() - timedelta(hours=1)
    Endpoint.objects.update(**FAILING, status="disabled", disabled_reason="Gone", disabled_at=since)
    shown = api.get(path).json()
    assert (shown["disabled_reason"], shown["disabled_at"]) == ("Gone", iso(since))
    assert shown["failing_since"] == iso(FAILING["failing_since"])

    enabled = api.patch(path, {"status": "enabled"}).json()
    assert enabled["status"] == "enabled"
    assert enabled["recover_since"] == iso(FAILING["failing_since"])
    assert api.patch(path, {"status": "enabled"}).json()["recover_since"] is None
    assert [enabled[name] for name in ("disabled_reason", "disabled_at", "failing_since")] == [
        None
    ] * 3
    row = Endpoint.objects.values(*FAILING).get()
    assert row == dict.fromkeys(FAILING) | {"failures_in_a_row": 0}


def test_setting_the_current_status_changes_nothing(api, created):
    path = f"/webhooks/{created['id']}"
    Endpoint.objects.update(**FAILING)
    api.patch(path, {"status": "enabled", "description": "x"})
    assert Endpoint.objects.values(*FAILING).get() == FAILING

    since = timezone.now() - timedelta(hours=1)
    Endpoint.objects.update(status="disabled", disabled_reason="Gone", disabled_at=since)
    shown = api.patch(path, {"status": "disabled"}).json()
    assert (shown["disabled_reason"], shown["disabled_at"]) == ("Gone", iso(since))


def test_an_endpoint_may_be_created_disabled(api):
    body = {"endpoint": URL, "events": ["*"]}
    assert api.post("/webhooks", body | {"status": "enabled"}).json()["disabled_at"] is None
    disabled = api.post("/webhooks", body | {"status": "disabled"}).json()
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", None)
    assert disabled["disabled_at"] is not None
    assert not Endpoint.objects.enabled().filter(pk=disabled["id"]).exists()
    changed = api.patch(f"/webhooks/{disabled['id']}", {"status": "enabled"}).json()
    assert (changed["status"], changed["disabled_at"]) == ("enabled", None)
    assert rejected_fields(api.post("/webhooks", body | {"status": "paused"})).keys() == {"status"}


def test_disabling_sets_disabled_at_without_a_reason(api, created):
    shown = api.patch(f"/webhooks/{created['id']}", {"status": "disabled"}).json()
    assert shown["disabled_at"] is not None
    assert shown["disabled_reason"] is None


# --- Options --------------------------------------------------------------------------


def test_every_option_can_be_set_at_creation_and_changed(api, domain):
    pod, inbox = str(uuid4()), str(uuid4())
    options = {
        "domain_ids": [str(domain.pk)],
        "pod_ids": [pod],
        "inbox_ids": [inbox, str(uuid4())],
        "rate_limit": 7,
        "ed25519": True,
    }
    body = {"endpoint": URL, "events": ["*"], "headers": {"X-Tenant": "a"}}
    made = api.post("/webhooks", body | options).json()
    assert {name: made[name] for name in options} == options
    assert made["header_names"] == ["X-Tenant"]
    assert re.fullmatch(r"whpk_[A-Za-z0-9+/]{43}=", made["public_key"])
    made.pop("signing_secret")
    path = f"/webhooks/{made['id']}"
    assert api.get(path).json() == made
    changed = made | {"description": "CRM", "recover_since": None}
    assert api.patch(path, {"description": "CRM"}).json() == changed

    cleared = {
        "headers": {},
        "domain_ids": [],
        "pod_ids": [],
        "inbox_ids": [],
        "rate_limit": None,
        "ed25519": False,
    }
    shown = api.patch(path, cleared).json()
    assert {name: shown[name] for name in options} == {name: cleared[name] for name in options}
    assert (shown["header_names"], shown["public_key"]) == ([], None)
    changed = api.patch(path, options | {"headers": {"X-B": "b"}}).json()
    assert {name: changed[name] for name in options} == options
    assert changed["header_names"] == ["X-B"]


def test_duplicate_filter_ids_are_stored_once(api, domain):
    body = {"endpoint": URL, "events": ["*"], "domain_ids": [str(domain.pk)] * 2}
    assert api.post("/webhooks", body).json()["domain_ids"] == [str(domain.pk)]


def test_enabling_and_disabling_v1a_keeps_the_secret(api, created):
    path = f"/webhooks/{created['id']}"
    first = api.patch(path, {"ed25519": True}).json()["public_key"]
    assert api.patch(path, {"ed25519": True}).json()["public_key"] == first
    assert decrypt_keyring(Endpoint.objects.get().encrypted_keyring).newest.public_key == first
    assert api.patch(path, {"ed25519": False}).json()["public_key"] is None
    assert api.patch(path, {"ed25519": True}).json()["public_key"] != first
    newest = decrypt_keyring(Endpoint.objects.get().encrypted_keyring).newest
    assert newest.secret == created["signing_secret"]


def test_the_bucket_exists_while_there_is_a_rate_limit(api, created):
    path = f"/webhooks/{created['id']}"
    assert not EndpointRateLimit.objects.exists()
    api.patch(path, {"rate_limit": 5})
    assert EndpointRateLimit.objects.values_list("rate", "tokens").get() == (5, 1)
    EndpointRateLimit.objects.update(tokens=0)
    api.patch(path, {"rate_limit": 5, "description": "x"})
    api.patch(path, {"rate_limit": 500})
    assert EndpointRateLimit.objects.values_list("rate", "tokens").get() == (500, 0)
    api.patch(path, {"description": "y"})
    assert EndpointRateLimit.objects.exists()
    api.patch(path, {"rate_limit": None})
    assert not EndpointRateLimit.objects.exists()


def test_creating_an_endpoint_with_a_rate_limit_creates_its_bucket(api):
    api.post("/webhooks", {"endpoint": URL, "events": ["*"], "rate_limit": 1000})
    assert EndpointRateLimit.objects.values_list("endpoint", "rate", "tokens").get() == (
        Endpoint.objects.get().pk,
        1000,
        1,
    )


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ({"rate_limit": 0}, "rate_limit"),
        ({"rate_limit": 1001}, "rate_limit"),
        ({"rate_limit": 1.5}, "rate_limit"),
        ({"rate_limit": True}, "rate_limit"),
        ({"rate_limit": "5"}, "rate_limit"),
        ({"ed25519": "yes"}, "ed25519"),
        ({"ed25519": None}, "ed25519"),
        ({"domain_ids": ["nonsense"]}, "domain_ids.0"),
        ({"pod_ids": [str(UUID(int=1)), 7]}, "pod_ids.1"),
        ({"inbox_ids": None}, "inbox_ids"),
        ({"inbox_ids": str(UUID(int=1))}, "inbox_ids"),
        ({"inbox_ids": [str(UUID(int=1))] * 101}, "inbox_ids"),
        ({"headers": None}, "headers"),
        ({"headers": ["X-A: b"]}, "headers"),
        ({"headers": {"X-A": [7]}}, "headers.X-A"),
        ({"headers": {"X-A": {}}}, "headers.X-A"),
        ({"header_names": ["X-A"]}, "header_names"),
        ({"public_key": "whpk_mine"}, "public_key"),
    ],
)
def test_an_invalid_option_is_refused_with_its_field(api, created, option, field):
    body = {"endpoint": URL, "events": ["*"]} | option
    assert set(rejected_fields(api.post("/webhooks", body))) == {field}
    assert set(rejected_fields(api.patch(f"/webhooks/{created['id']}", option))) == {field}


def test_listing_takes_a_constant_number_of_queries(api, django_assert_max_num_queries):
    for n in range(5):
        api.post("/webhooks", {"endpoint": f"{URL}/{n}", "events": ["*"], "rate_limit": 5})
    with django_assert_max_num_queries(4):
        assert len(api.get("/webhooks").json()["data"]) == 5


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_strangers_get_404(stranger, created, method):
    answer = getattr(stranger, method)(f"/webhooks/{created['id']}")
    assert answer.status_code == 404
    assert answer.json()["name"] == "not_found"
    assert stranger.get("/webhooks").json()["data"] == []
    assert Endpoint.objects.get().status == "enabled"


@pytest.mark.parametrize("given", ["nonsense", "0", "018f0000-0000-7000-8000-000000000000"])
def test_an_unknown_id_is_404(api, given):
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
def test_a_forbidden_url_is_refused_with_its_field(api, settings, url):
    settings.WEBHOOK_ALLOW_HTTP = False
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    fields = rejected_fields(api.post("/webhooks", {"endpoint": url, "events": ["*"]}))
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
def test_a_public_url_is_accepted_unchanged(api, settings, url):
    settings.WEBHOOK_ALLOW_HTTP = False
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    answer = api.post("/webhooks", {"endpoint": url, "events": ["*"]})
    assert answer.status_code == 201, answer.json()
    assert answer.json()["endpoint"] == url


def test_http_is_accepted_if_the_installation_allows_it(api, settings):
    body = {"endpoint": "http://hooks.example.com/", "events": ["*"]}
    settings.WEBHOOK_ALLOW_HTTP = True
    assert api.post("/webhooks", body).status_code == 201


def test_a_change_to_a_forbidden_url_is_refused_and_changes_nothing(api, settings, created):
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    change = {"endpoint": "https://10.0.0.1/", "description": "x"}
    assert set(rejected_fields(api.patch(f"/webhooks/{created['id']}", change))) == {"endpoint"}
    endpoint = Endpoint.objects.get()
    assert (endpoint.url, endpoint.description) == (URL, "")


@pytest.mark.parametrize("name", ["email.exploded", "email", "EMAIL.SENT", "nothing.*", "**", ""])
def test_an_unknown_type_is_refused_with_its_index(api, name):
    body = {"endpoint": URL, "events": ["email.sent", name]}
    fields = rejected_fields(api.post("/webhooks", body))
    assert set(fields) == {"events.1"}
    assert f"`{name}`" in fields["events.1"]


def test_a_long_refused_type_is_truncated_in_the_error(api):
    body = {"url": URL, "event_types": ["email.sent", "x" * 100_000]}
    fields = rejected_fields(api.post("/webhooks", body))
    assert fields == {"event_types.1": f"`{'x' * 100}...` is not an event type or group"}


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
def test_an_invalid_field_is_refused_with_its_name(api, created, change, field):
    body = {"endpoint": URL, "events": ["*"]} | change
    assert set(rejected_fields(api.post("/webhooks", body))) == {field}
    assert set(rejected_fields(api.patch(f"/webhooks/{created['id']}", change))) == {field}


@pytest.mark.parametrize("status", ["paused", "", None, True])
def test_an_unknown_status_is_refused(api, created, status):
    answer = api.patch(f"/webhooks/{created['id']}", {"status": status})
    assert set(rejected_fields(answer)) == {"status"}


@pytest.mark.parametrize(
    ("body", "missing"),
    [({"events": ["*"]}, {"endpoint"}), ({"url": URL}, {"events"}), ({}, {"endpoint", "events"})],
)
def test_missing_fields_are_listed(api, body, missing):
    answer = api.post("/webhooks", body)
    assert set(rejected_fields(answer)) == missing
    assert answer.json()["name"] == "missing_required_field"
