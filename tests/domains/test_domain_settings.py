"""What can be set on a domain, when it is added and later, and what that does to its mail."""

import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection

from core.db.ids import uuid7
from domains.models import Domain
from emails.models import Email
from emails.providers import get_provider

pytestmark = pytest.mark.django_db
MAIL = {"from": "a@example.com", "to": "b@example.net", "subject": "s", "text": "t"}


@pytest.fixture
def url(domain):
    return f"/domains/{domain.pk}"


@pytest.fixture
def relay(settings):
    """An installation that has an SMTP relay."""
    settings.SMTP_URL = "smtps://relay.example.com"


@pytest.fixture
def accepted(api):
    """Send a mail from example.com; its row."""

    def accept():
        answer = api.post("/emails", MAIL)
        assert answer.status_code == 200, answer.json()
        return Email.objects.get(pk=answer.json()["id"])

    return accept


def set_on(shown):
    return {name: shown[name] for name in ("open_tracking", "click_tracking", "provider")}


# --- Changing them --------------------------------------------------------------------


def test_a_domain_tracks_nothing_and_has_no_provider_of_its_own_unless_told(api, url):
    shown = api.get(url).json()
    assert set_on(shown) == {"open_tracking": False, "click_tracking": False, "provider": None}
    assert shown["capabilities"] == {"sending": "enabled", "receiving": "disabled"}


def test_what_is_named_changes_and_the_rest_stays(api, url, relay):
    first = api.patch(url, {"open_tracking": True, "provider": "smtp"})
    assert first.status_code == 200
    second = api.patch(url, {"click_tracking": True}).json()
    assert set_on(second) == {"open_tracking": True, "click_tracking": True, "provider": "smtp"}
    assert second == api.get(url).json() == api.get("/domains").json()["data"][0]
    third = api.patch(url, {"open_tracking": False, "provider": None}).json()
    assert set_on(third) == {"open_tracking": False, "click_tracking": True, "provider": None}


def test_a_change_is_told_with_the_names_of_what_changed(api, url, told):
    changes = {"open_tracking": False, "click_tracking": True, "provider": "ses"}
    shown = api.patch(url, changes | {"capabilities": {"sending": "disabled"}}).json()
    ((kind, data),) = told()
    assert kind == "domain.updated"
    assert data.pop("previous_status") == "verified"
    assert sorted(data.pop("changed_fields")) == ["capabilities", "click_tracking", "provider"]
    assert data == shown


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"open_tracking": False, "provider": None},
        {"capabilities": {"sending": "enabled", "receiving": "disabled"}, "tls": "opportunistic"},
        {"capabilities": {}, "id": "of-the-path", "tracking_subdomain": None, "tls": None},
    ],
)
def test_what_is_so_already_changes_and_tells_nothing(api, url, told, changes):
    before = api.get(url).json()
    answer = api.patch(url, changes)
    assert (answer.status_code, answer.json()) == (200, before)
    assert told() == []


def test_a_change_that_cannot_be_told_is_not_made(api, url, monkeypatch):
    def broken(facts):
        raise RuntimeError("the outbox is full")

    api.raise_request_exception = False
    monkeypatch.setattr("domains.services.publish", broken)
    assert api.patch(url, {"open_tracking": True}).status_code == 500
    assert not Domain.objects.get().open_tracking


def test_they_can_be_set_when_a_domain_is_added(api, twin, relay, told):
    asked = {"open_tracking": True, "click_tracking": True, "provider": "smtp"}
    capabilities = {"sending": "disabled", "receiving": "disabled"}
    body = {"name": "shop.example", "capabilities": capabilities, "tls": "opportunistic"}
    made = api.post("/domains", body | asked)
    assert made.status_code == 201
    assert (set_on(made.json()), made.json()["capabilities"]) == (asked, capabilities)
    assert set_on(told()[0][1]) == asked


# --- Refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name", "field", "reason"),
    [
        ({"tls": "enforced"}, "unsupported_field", "tls", "opportunistic"),
        (
            {"capabilities": {"receiving": "enabled"}},
            *("unsupported_field", "capabilities.receiving", "no mail in"),
        ),
        ({"tracking_subdomain": "links"}, "unsupported_field", "tracking_subdomain", "address"),
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
def test_what_cannot_be_done_is_refused_by_name_and_nothing_changes(
    api, url, told, changes, name, field, reason
):
    before = api.get(url).json()
    ways = [(api.patch, url, {}), (api.post, "/domains", {"name": "shop.example"})]
    for send, address, more in ways:
        answer = send(address, {"open_tracking": True} | more | changes)
        assert (answer.status_code, answer.json()["name"]) == (422, name)
        ((path, problem),) = answer.json()["details"]["fields"].items()
        assert path == field
        assert reason in problem
    assert [domain["id"] for domain in api.get("/domains").json()["data"]] == [before["id"]]
    assert (api.get(url).json(), told()) == (before, [])


@pytest.mark.parametrize("changes", [{"region": "eu-west-1"}, {"name": "b.example"}, [], "x"])
def test_what_a_domain_is_cannot_be_changed(api, url, changes):
    before = api.get(url).json()
    assert api.patch(url, changes).status_code == 422
    assert api.get(url).json() == before


def test_a_return_path_of_ones_own_is_refused_when_a_domain_is_added(api):
    answer = api.post("/domains", {"name": "shop.example", "custom_return_path": "out"})
    assert (answer.status_code, answer.json()["name"]) == (422, "unsupported_field")
    assert "custom_return_path" in answer.json()["details"]["fields"]
    assert not Domain.objects.exists()


def test_what_is_unsupported_beside_what_is_wrong_is_wrong(api, url):
    answer = api.patch(url, {"tls": "enforced", "open_tracking": 1})
    assert answer.json()["name"] == "validation_error"
    assert answer.json()["details"]["fields"].keys() == {"tls", "open_tracking"}


def test_a_domain_that_is_not_there_or_being_removed_cannot_be_changed(api, domain, url):
    assert api.patch(f"/domains/{uuid7()}", {"open_tracking": True}).status_code == 404
    Domain.objects.update(deleted_at=domain.created_at)
    assert api.patch(url, {"open_tracking": True}).status_code == 404
    assert not Domain.objects.get().open_tracking


def test_a_key_that_may_only_send_changes_no_domain(client_for, workspace, url):
    from accounts.services import create_api_key

    _, token = create_api_key(workspace=workspace, name="s", permission="sending_access")
    answer = client_for(token).patch(url, {"open_tracking": True})
    assert (answer.status_code, answer.json()["name"]) == (403, "restricted_api_key")


# --- Its mail -------------------------------------------------------------------------


def test_mail_is_tracked_and_handed_over_as_its_domain_said_when_it_was_accepted(
    api, url, relay, accepted
):
    before = accepted()
    api.patch(url, {"open_tracking": True, "provider": "smtp"})
    between = accepted()
    api.patch(url, {"open_tracking": False, "click_tracking": True, "provider": None})
    after = accepted()
    before.refresh_from_db()
    kept = [
        (mail.open_tracking, mail.click_tracking, mail.provider)
        for mail in (before, between, after)
    ]
    assert kept == [(False, False, "ses"), (True, False, "smtp"), (False, True, "ses")]


def test_batches_are_tracked_as_single_mails_are(api, url, relay):
    api.patch(url, {"open_tracking": True, "click_tracking": True, "provider": "smtp"})
    assert api.post("/emails/batch", [MAIL, MAIL]).status_code == 200
    rows = Email.objects.values_list("open_tracking", "click_tracking", "provider")
    assert list(rows) == [(True, True, "smtp")] * 2


def test_a_domain_may_choose_ses_where_the_installation_has_a_relay(
    api, url, relay, accepted, settings
):
    settings.EMAIL_PROVIDER = "smtp"
    assert accepted().provider == "smtp"
    api.patch(url, {"provider": "ses"})
    assert accepted().provider == "ses"


def test_sending_can_be_switched_off_and_on(api, url, accepted):
    api.patch(url, {"capabilities": {"sending": "disabled"}})
    answer = api.post("/emails", MAIL)
    assert (answer.status_code, answer.json()["name"]) == (403, "domain_not_verified")
    assert "switched off" in answer.json()["message"]
    api.patch(url, {"capabilities": {"sending": "enabled"}})
    accepted()


@pytest.mark.parametrize("name", Domain.Provider.values)
def test_every_provider_that_can_be_chosen_exists(name):
    assert get_provider(name).name == name


# --- At the same time -----------------------------------------------------------------


@contextmanager
def another_connection():
    parameters = connection.get_connection_params()
    names = ("dbname", "host", "port", "user", "password")
    chosen = {name: parameters[name] for name in names if parameters.get(name)}
    with psycopg.connect(**chosen) as other:
        yield other


def wait_for_a_waiter(other):
    end = time.monotonic() + 10
    while not other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
        assert time.monotonic() < end, "nobody waits for the lock"
        time.sleep(0.01)


def while_another_writes(sets, act):
    """Run `act` while another connection changes the domain, which it commits last."""
    answers = []

    def run():
        try:
            answers.append(act())
        finally:
            connection.close()

    with another_connection() as other:
        other.execute(f"UPDATE domains SET {sets}")
        thread = threading.Thread(target=run)
        thread.start()
        wait_for_a_waiter(other)
        other.commit()
    thread.join(20)
    return answers[0]


@pytest.mark.django_db(transaction=True)
def test_a_change_keeps_what_another_changed_meanwhile_and_tells_it(api, url, told):
    answer = while_another_writes(
        "open_tracking = true, status = 'failed'", lambda: api.patch(url, {"click_tracking": True})
    )
    assert set_on(answer.json())["open_tracking"]
    assert answer.json() == api.get(url).json()
    ((_, data),) = told()
    assert (data["open_tracking"], data["click_tracking"]) == (True, True)
    assert (data["previous_status"], data["changed_fields"]) == ("failed", ["click_tracking"])


@pytest.mark.django_db(transaction=True)
def test_of_two_equal_changes_at_the_same_time_one_is_told(api, url, told):
    answer = while_another_writes(
        "click_tracking = true", lambda: api.patch(url, {"click_tracking": True})
    )
    assert answer.status_code == 200
    assert told() == []


@pytest.mark.django_db(transaction=True)
def test_a_domain_that_is_removed_meanwhile_is_not_changed(api, url, told):
    answer = while_another_writes(
        "deleted_at = now()", lambda: api.patch(url, {"click_tracking": True})
    )
    assert answer.status_code == 404
    assert (told(), Domain.objects.get().click_tracking) == ([], False)
