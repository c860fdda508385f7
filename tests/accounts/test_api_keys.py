import hashlib
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import ApiKey, Workspace
from accounts.services import create_api_key, update_api_key
from core.db.ids import uuid7
from core.errors import ValidationFailed
from emails.models import Email
from tests.clients import sending_client
from tests.database import waiting_for_our_lock

pytestmark = pytest.mark.django_db
EMAIL = {"from": "a@example.com", "to": "b@example.net", "subject": "s", "text": "t"}


@pytest.fixture
def sender(workspace):
    """A client whose key may only send."""
    return sending_client(workspace)


# --- Making them ------------------------------------------------------------------------


def test_a_token_is_shown_once_and_kept_as_a_hash(api, client_for):
    made = api.post("/api-keys", {"name": "mine"})
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    token = made.json()["token"]
    assert token.startswith("os_")
    assert len(token) == len("os_") + 32
    key = ApiKey.objects.get(pk=made.json()["id"])
    assert key.digest == hashlib.sha256(token.encode()).hexdigest()
    assert key.prefix == token[:10]
    assert not [value for value in vars(key).values() if value == token]
    for answer in (api.get("/api-keys"), api.get(f"/api-keys/{key.pk}")):
        assert token not in answer.content.decode()
    assert client_for(token).get("/api-keys").status_code == 200


def test_full_access_is_given_unless_told_otherwise(api):
    made = api.post("/api-keys", {"name": "x"}).json()["id"]
    shown = api.get(f"/api-keys/{made}").json()
    assert shown.keys() == {
        *("object", "id", "name", "prefix", "permission"),
        *("domain_id", "created_at", "last_used_at"),
    }
    assert (shown["permission"], shown["domain_id"], shown["last_used_at"]) == (
        "full_access",
        None,
        None,
    )


@pytest.mark.parametrize("permission", ["admin", "", "FULL_ACCESS", None, 5, ["full_access"]])
def test_an_unknown_permission_is_refused_and_never_a_default(api, permission):
    answer = api.post("/api-keys", {"name": "x", "permission": permission})
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {"permission"}
    assert ApiKey.objects.count() == 1
    made = api.post("/api-keys", {"name": "x", "permission": "sending_access"}).json()["id"]
    assert api.patch(f"/api-keys/{made}", {"permission": permission}).status_code == 422
    assert ApiKey.objects.get(pk=made).is_restricted


@pytest.mark.parametrize("name", ["", "x" * 201, 5, None])
def test_a_key_has_a_name(api, name):
    answer = api.post("/api-keys", {"name": name})
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {"name"}


def test_a_key_can_be_restricted_to_a_domain_of_its_workspace_only(api, stranger, domain):
    wanted = {"name": "x", "permission": "sending_access", "domain_id": str(domain.pk)}
    made = api.post("/api-keys", wanted)
    assert made.status_code == 201
    shown = api.get(f"/api-keys/{made.json()['id']}").json()
    assert shown["domain_id"] == str(domain.pk)
    for client, wrong in ((stranger, wanted), (api, wanted | {"domain_id": str(uuid7())})):
        answer = client.post("/api-keys", wrong)
        assert answer.status_code == 422
        assert set(answer.json()["details"]["fields"]) == {"domain_id"}


@pytest.mark.parametrize("permission", [{}, {"permission": "full_access"}])
def test_a_key_that_may_do_everything_is_restricted_to_no_domain(api, domain, permission):
    answer = api.post("/api-keys", {"name": "x", "domain_id": str(domain.pk), **permission})
    assert answer.status_code == 422
    assert answer.json()["details"]["fields"] == {
        "domain_id": "restricts sending, so it can only be given with `sending_access`"
    }
    assert ApiKey.objects.count() == 1


# --- Changing and revoking them -------------------------------------------------------------


def test_what_a_change_does_not_name_stays(api, domain):
    made = api.post("/api-keys", {"name": "x", "permission": "sending_access"}).json()["id"]
    changed = api.patch(f"/api-keys/{made}", {"domain_id": str(domain.pk)}).json()
    assert (changed["name"], changed["permission"]) == ("x", "sending_access")
    changed = api.patch(f"/api-keys/{made}", {"name": "y", "domain_id": None}).json()
    assert (changed["name"], changed["domain_id"]) == ("y", None)
    assert api.patch(f"/api-keys/{made}", {}).json() == changed
    assert api.patch(f"/api-keys/{made}", {"token": "os_x"}).status_code == 422


@pytest.mark.parametrize(
    ("there", "change", "named"),
    [
        (("full_access", False), {"domain_id": True}, "domain_id"),
        (("full_access", False), {"domain_id": True, "permission": "full_access"}, "domain_id"),
        (("sending_access", True), {"permission": "full_access"}, "permission"),
        (("sending_access", True), {"permission": "full_access", "domain_id": True}, "domain_id"),
        (("full_access", True), {"permission": "full_access"}, "permission"),
    ],
)
def test_no_change_restricts_a_key_that_may_do_everything(
    api, workspace, domain, there, change, named
):
    permission, has_domain = there
    key, _ = create_api_key(workspace=workspace, name="x", permission="sending_access")
    before = {"permission": permission, "domain_id": domain.pk if has_domain else None}
    ApiKey.objects.filter(pk=key.pk).update(**before)
    if "domain_id" in change:
        change |= {"domain_id": str(domain.pk)}
    answer = api.patch(f"/api-keys/{key.pk}", change)
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {named}
    assert ApiKey.objects.filter(pk=key.pk, **before).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"permission": "sending_access"},
        {"domain_id": None},
        {"permission": "full_access", "domain_id": None},
        {"name": "y"},
    ],
)
def test_a_key_from_earlier_that_has_both_can_be_changed_otherwise(api, workspace, domain, change):
    key, _ = create_api_key(workspace=workspace, name="x")
    ApiKey.objects.filter(pk=key.pk).update(domain_id=domain.pk)
    changed = api.patch(f"/api-keys/{key.pk}", change)
    assert changed.status_code == 200
    assert change.items() <= changed.json().items()


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_the_same_time_restrict_no_key_that_may_do_everything(workspace, domain):
    key, _ = create_api_key(workspace=workspace, name="x", permission="sending_access")

    def widen():
        with pytest.raises(ValidationFailed):
            update_api_key(ApiKey.objects.get(pk=key.pk), {"permission": "full_access"})

    with waiting_for_our_lock(widen):
        update_api_key(key, {"domain_id": domain.pk})
    assert ApiKey.objects.get(pk=key.pk).is_restricted


def test_a_key_cannot_be_changed_to_a_domain_of_others(stranger, domain):
    made = stranger.post("/api-keys", {"name": "x", "permission": "sending_access"}).json()["id"]
    answer = stranger.patch(f"/api-keys/{made}", {"domain_id": str(domain.pk)})
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {"domain_id"}
    assert stranger.get(f"/api-keys/{made}").json()["domain_id"] is None


def test_a_changed_permission_bites_on_the_next_request(api, client_for):
    made = api.post("/api-keys", {"name": "x"}).json()
    client = client_for(made["token"])
    assert client.get("/domains").status_code == 200
    api.patch(f"/api-keys/{made['id']}", {"permission": "sending_access"})
    assert client.get("/domains").status_code == 403


def test_a_revoked_key_is_refused_on_the_next_request(api, client_for):
    made = api.post("/api-keys", {"name": "x"}).json()
    client = client_for(made["token"])
    assert client.get("/emails").status_code == 200
    assert api.delete(f"/api-keys/{made['id']}").status_code == 200
    assert client.get("/emails").json()["name"] == "invalid_api_key"
    assert api.get(f"/api-keys/{made['id']}").status_code == 404
    assert api.delete(f"/api-keys/{made['id']}").status_code == 404
    assert made["id"] not in {key["id"] for key in api.get("/api-keys").json()["data"]}
    assert ApiKey.objects.get(pk=made["id"]).revoked_at is not None


def test_to_strangers_a_key_does_not_exist(api, stranger):
    made = api.post("/api-keys", {"name": "x"}).json()
    url = f"/api-keys/{made['id']}"
    absent = stranger.get(f"/api-keys/{uuid7()}").json()["name"]
    for answer in (stranger.get(url), stranger.patch(url, {"name": "y"}), stranger.delete(url)):
        assert (answer.status_code, answer.json()["name"]) == (404, absent)
    assert made["id"] not in {key["id"] for key in stranger.get("/api-keys").json()["data"]}
    assert api.get(url).json()["name"] == "x"


# --- Using them ---------------------------------------------------------------------------------


def test_the_last_use_is_written_at_most_once_a_minute(api, api_key, django_assert_num_queries):
    key, _ = api_key
    api.get("/emails")
    key.refresh_from_db()
    first = key.last_used_at
    assert timezone.now() - first < timedelta(seconds=10)
    with django_assert_num_queries(2):  # the key with its workspace, and the list
        api.get("/emails")
    key.refresh_from_db()
    assert key.last_used_at == first
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=first - timedelta(seconds=61))
    api.get("/emails")
    key.refresh_from_db()
    assert key.last_used_at >= first


def test_the_scheme_is_read_in_any_case(api_key):
    from rest_framework.test import APIClient

    client = APIClient(headers={"Authorization": f"bearer  {api_key[1]} "})
    assert client.get("/emails").status_code == 200


def test_a_key_for_sending_sends_and_reads_only_what_it_sent(sender, api, domain):
    ours = sender.post("/emails", EMAIL).json()["id"]
    theirs = api.post("/emails", EMAIL).json()["id"]
    batch = sender.post("/emails/batch", [EMAIL, EMAIL]).json()["data"]
    assert sender.get(f"/emails/{ours}").status_code == 200
    assert sender.get(f"/emails/{ours}/events").status_code == 200
    assert sender.get(f"/emails/{theirs}").status_code == 404
    assert sender.get(f"/emails/{theirs}/events").status_code == 404
    listed = {email["id"] for email in sender.get("/emails").json()["data"]}
    assert listed == {ours, *(each["id"] for each in batch)}
    assert theirs in {email["id"] for email in api.get("/emails").json()["data"]}


def test_a_key_for_sending_reads_all_about_what_it_sent_and_of_nothing_else(sender, api, domain):
    email = EMAIL | {"attachments": [{"filename": "a.txt", "content": "YQ=="}]}
    ours = sender.post("/emails", email).json()["id"]
    theirs = api.post("/emails", email).json()["id"]
    file = sender.get(f"/emails/{ours}/attachments").json()["data"][0]["id"]
    for part in ("attachments", f"attachments/{file}", "events", "trace"):
        assert sender.get(f"/emails/{ours}/{part}").status_code == 200
        assert sender.get(f"/emails/{theirs}/{part}").status_code == 404


def test_a_key_for_sending_neither_moves_nor_cancels_what_it_sent(sender, domain):
    scheduled = sender.post("/emails", EMAIL | {"scheduled_at": "in 1 hour"}).json()["id"]
    for answer in (
        sender.patch(f"/emails/{scheduled}", {"scheduled_at": "in 2 hours"}),
        sender.post(f"/emails/{scheduled}/cancel"),
    ):
        assert (answer.status_code, answer.json()["name"]) == (403, "restricted_api_key")
    assert Email.objects.get().status == "scheduled"


def test_a_key_for_sending_makes_itself_no_other(sender):
    for answer in (
        sender.patch(f"/api-keys/{sender.key.pk}", {"permission": "full_access"}),
        sender.post("/api-keys", {"name": "x"}),
    ):
        assert (answer.status_code, answer.json()["name"]) == (403, "restricted_api_key")


def test_a_key_for_one_domain_sends_from_no_other(workspace, client_for, domain):
    from domains.models import Domain

    other = Domain.objects.create(
        workspace=workspace, name="other.example", status="verified", region="us-east-1"
    )
    restriction = {"permission": "sending_access", "domain_id": other.pk}
    client = client_for(create_api_key(workspace=workspace, name="d", **restriction)[1])
    assert client.post("/emails", EMAIL | {"from": "a@other.example"}).status_code == 200
    answer = client.post("/emails", EMAIL)
    assert (answer.status_code, answer.json()["name"]) == (403, "api_key_domain_restricted")
    answer = client.post("/emails/batch", [EMAIL | {"from": "a@other.example"}, EMAIL])
    assert (answer.status_code, answer.json()["name"]) == (403, "api_key_domain_restricted")
    assert Email.objects.count() == 1
    other.delete()
    answer = client.post("/emails", EMAIL | {"from": "a@other.example"})
    assert answer.status_code == 403


# --- For operators -------------------------------------------------------------------------------


def test_an_operator_makes_a_key_and_the_workspace_with_it(capsys, client_for):
    call_command("create_api_key", "New")
    token = capsys.readouterr().out.strip()
    assert client_for(token).get("/api-keys").json()["data"][0]["name"] == "operator"
    call_command("create_api_key", "New", "--permission=sending_access", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == {"workspace_id", "id", "token"}
    assert Workspace.objects.get(name="New").api_keys.count() == 2
    assert ApiKey.objects.get(pk=told["id"]).is_restricted


def test_an_operator_cannot_make_a_key_of_unknown_permission():
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("create_api_key", "New", "--permission", "everything")
    assert not Workspace.objects.exists()
