"""The settings of a domain, on creation and later, and their effect on its mail."""

import pytest

from core.db.ids import uuid7
from domains.models import Domain
from emails.models import Email
from emails.providers import get_provider
from tests.clients import sending_client
from tests.database import another_connection, concurrently, wait_for_blocked_session

pytestmark = pytest.mark.django_db
MAIL = {"from": "a@example.com", "to": "b@example.net", "subject": "s", "text": "t"}


@pytest.fixture
def url(domain):
    return f"/domains/{domain.pk}"


@pytest.fixture
def relay(settings):
    """Configures an SMTP relay."""
    settings.SMTP_URL = "smtps://relay.example.com"


@pytest.fixture
def send_email(api):
    """`send_email()` sends an email from example.com and returns its row."""

    def send():
        answer = api.post("/emails", MAIL)
        assert answer.status_code == 200, answer.json()
        return Email.objects.get(pk=answer.json()["id"])

    return send


def settings_of(representation):
    return {name: representation[name] for name in ("open_tracking", "click_tracking", "provider")}


# --- Updating -------------------------------------------------------------------------


def test_tracking_and_provider_are_unset_by_default(api, url):
    domain = api.get(url).json()
    assert settings_of(domain) == {
        "open_tracking": False,
        "click_tracking": False,
        "provider": None,
    }
    assert domain["capabilities"] == {"sending": "enabled", "receiving": "disabled"}


def test_only_given_settings_change(api, url, relay):
    first = api.patch(url, {"open_tracking": True, "provider": "smtp"})
    assert first.status_code == 200
    second = api.patch(url, {"click_tracking": True}).json()
    assert settings_of(second) == {
        "open_tracking": True,
        "click_tracking": True,
        "provider": "smtp",
    }
    assert second == api.get(url).json() == api.get("/domains").json()["data"][0]
    third = api.patch(url, {"open_tracking": False, "provider": None}).json()
    assert settings_of(third) == {"open_tracking": False, "click_tracking": True, "provider": None}


def test_a_change_is_published_with_its_changed_fields(api, url, published):
    changes = {"open_tracking": False, "click_tracking": True, "provider": "ses"}
    domain = api.patch(url, changes | {"capabilities": {"sending": "disabled"}}).json()
    ((kind, data),) = published()
    assert kind == "domain.updated"
    assert data.pop("previous_status") == "verified"
    assert sorted(data.pop("changed_fields")) == ["capabilities", "click_tracking", "provider"]
    assert data == domain


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"open_tracking": False, "provider": None},
        {"capabilities": {"sending": "enabled", "receiving": "disabled"}, "tls": "opportunistic"},
        {"capabilities": {}, "id": "of-the-path", "tracking_subdomain": None, "tls": None},
    ],
)
def test_an_update_without_changes_publishes_nothing(api, url, published, changes):
    before = api.get(url).json()
    answer = api.patch(url, changes)
    assert (answer.status_code, answer.json()) == (200, before)
    assert published() == []


def test_a_change_is_rolled_back_when_its_event_fails(api, url, monkeypatch):
    def broken(facts):
        raise RuntimeError("the outbox is full")

    api.raise_request_exception = False
    monkeypatch.setattr("domains.services.publish", broken)
    assert api.patch(url, {"open_tracking": True}).status_code == 500
    assert not Domain.objects.get().open_tracking


def test_settings_can_be_given_on_creation(api, twin, relay, published):
    given = {"open_tracking": True, "click_tracking": True, "provider": "smtp"}
    capabilities = {"sending": "disabled", "receiving": "disabled"}
    body = {"name": "shop.example", "capabilities": capabilities, "tls": "opportunistic"}
    created = api.post("/domains", body | given)
    assert created.status_code == 201
    assert (settings_of(created.json()), created.json()["capabilities"]) == (given, capabilities)
    assert settings_of(published()[0][1]) == given


# --- Refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name", "field", "reason"),
    [
        ({"tls": "enforced"}, "unsupported_field", "tls", "opportunistic"),
        (
            {"capabilities": {"receiving": "enabled"}},
            *("unsupported_field", "capabilities.receiving", "receive mail"),
        ),
        ({"tracking_subdomain": "links"}, "unsupported_field", "tracking_subdomain", "base URL"),
        ({"provider": "smtp"}, "validation_error", "provider", "SMTP_URL"),
        ({"provider": "pigeon"}, "validation_error", "provider", "`ses` or `smtp`"),
        ({"provider": ""}, "validation_error", "provider", "`ses` or `smtp`"),
        ({"tls": "maybe"}, "validation_error", "tls", "opportunistic"),
        ({"open_tracking": "yes"}, "validation_error", "open_tracking", "true or false"),
        ({"click_tracking": None}, "validation_error", "click_tracking", "true or false"),
        (
            {"capabilities": {"sending": True}},
            "validation_error",
            "capabilities.sending",
            "enabled",
        ),
        ({"capabilities": {"fax": "enabled"}}, "validation_error", "capabilities.fax", "field"),
        ({"nonsense": 1}, "validation_error", "nonsense", "not a field"),
    ],
)
def test_an_unsupported_or_invalid_setting_is_refused_by_name(
    api, url, published, changes, name, field, reason
):
    before = api.get(url).json()
    requests = [(api.patch, url, {}), (api.post, "/domains", {"name": "shop.example"})]
    for send, address, more in requests:
        answer = send(address, {"open_tracking": True} | more | changes)
        assert (answer.status_code, answer.json()["name"]) == (422, name)
        ((path, problem),) = answer.json()["details"]["fields"].items()
        assert path == field
        assert reason in problem
    assert [domain["id"] for domain in api.get("/domains").json()["data"]] == [before["id"]]
    assert (api.get(url).json(), published()) == (before, [])


@pytest.mark.parametrize("changes", [{"region": "eu-west-1"}, {"name": "b.example"}, [1], "x"])
def test_name_and_region_cannot_be_changed(api, url, changes):
    before = api.get(url).json()
    assert api.patch(url, changes).status_code == 422
    assert api.get(url).json() == before


def test_a_custom_return_path_is_refused(api):
    answer = api.post("/domains", {"name": "shop.example", "custom_return_path": "out"})
    assert (answer.status_code, answer.json()["name"]) == (422, "unsupported_field")
    assert "custom_return_path" in answer.json()["details"]["fields"]
    assert not Domain.objects.exists()


def test_an_invalid_field_takes_precedence_over_an_unsupported_one(api, url):
    answer = api.patch(url, {"tls": "enforced", "open_tracking": 1})
    assert answer.json()["name"] == "validation_error"
    assert answer.json()["details"]["fields"].keys() == {"tls", "open_tracking"}


def test_an_unknown_or_deleted_domain_cannot_be_changed(api, domain, url):
    assert api.patch(f"/domains/{uuid7()}", {"open_tracking": True}).status_code == 404
    Domain.objects.update(deleted_at=domain.created_at)
    assert api.patch(url, {"open_tracking": True}).status_code == 404
    assert not Domain.objects.get().open_tracking


def test_a_key_with_sending_access_cannot_change_a_domain(workspace, url):
    answer = sending_client(workspace).patch(url, {"open_tracking": True})
    assert (answer.status_code, answer.json()["name"]) == (403, "restricted_api_key")


# --- Effects on mail ------------------------------------------------------------------


def test_mail_uses_the_settings_at_the_time_it_was_accepted(api, url, relay, send_email):
    before = send_email()
    api.patch(url, {"open_tracking": True, "provider": "smtp"})
    between = send_email()
    api.patch(url, {"open_tracking": False, "click_tracking": True, "provider": None})
    after = send_email()
    before.refresh_from_db()
    settings = [
        (mail.open_tracking, mail.click_tracking, mail.provider)
        for mail in (before, between, after)
    ]
    assert settings == [(False, False, "ses"), (True, False, "smtp"), (False, True, "ses")]


def test_batches_use_the_settings_like_single_emails(api, url, relay):
    api.patch(url, {"open_tracking": True, "click_tracking": True, "provider": "smtp"})
    assert api.post("/emails/batch", [MAIL, MAIL]).status_code == 200
    rows = Email.objects.values_list("open_tracking", "click_tracking", "provider")
    assert list(rows) == [(True, True, "smtp")] * 2


def test_a_domain_can_choose_ses_when_the_default_is_a_relay(api, url, relay, send_email, settings):
    settings.EMAIL_PROVIDER = "smtp"
    assert send_email().provider == "smtp"
    api.patch(url, {"provider": "ses"})
    assert send_email().provider == "ses"


def test_sending_can_be_switched_off_and_on(api, url, send_email):
    api.patch(url, {"capabilities": {"sending": "disabled"}})
    answer = api.post("/emails", MAIL)
    assert (answer.status_code, answer.json()["name"]) == (403, "domain_not_verified")
    assert "switched off" in answer.json()["message"]
    api.patch(url, {"capabilities": {"sending": "enabled"}})
    send_email()


@pytest.mark.parametrize("name", Domain.Provider.values)
def test_every_provider_choice_exists(name):
    assert get_provider(name).name == name


# --- Concurrency ----------------------------------------------------------------------


def during_uncommitted_update(assignments, action):
    """Runs `action` while another connection has updated the domain but not committed yet."""
    with another_connection() as other:
        other.execute(f"UPDATE domains SET {assignments}")
        with concurrently(action) as answer:
            wait_for_blocked_session()
            other.commit()
    return answer.result()


@pytest.mark.django_db(transaction=True)
def test_an_update_keeps_and_publishes_concurrent_changes(api, url, published):
    answer = during_uncommitted_update(
        "open_tracking = true, status = 'failed'", lambda: api.patch(url, {"click_tracking": True})
    )
    assert settings_of(answer.json())["open_tracking"]
    assert answer.json() == api.get(url).json()
    ((_, data),) = published()
    assert (data["open_tracking"], data["click_tracking"]) == (True, True)
    assert (data["previous_status"], data["changed_fields"]) == ("failed", ["click_tracking"])


@pytest.mark.django_db(transaction=True)
def test_a_change_already_made_meanwhile_is_not_published(api, url, published):
    answer = during_uncommitted_update(
        "click_tracking = true", lambda: api.patch(url, {"click_tracking": True})
    )
    assert answer.status_code == 200
    assert published() == []


@pytest.mark.django_db(transaction=True)
def test_a_domain_deleted_meanwhile_is_not_changed(api, url, published):
    answer = during_uncommitted_update(
        "deleted_at = now()", lambda: api.patch(url, {"click_tracking": True})
    )
    assert answer.status_code == 404
    assert (published(), Domain.objects.get().click_tracking) == ([], False)
