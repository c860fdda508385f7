import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts import services
from accounts.models import ApiKey, IdempotencyRecord
from accounts.services import create_api_key
from accounts.tasks import purge_old_idempotency_records
from emails.models import Email

pytestmark = pytest.mark.django_db
EMAIL = {"from": "a@example.com", "to": "b@example.net", "subject": "s", "text": "t"}


def post(client, path, body, key):
    return client.post(path, body, headers={"Idempotency-Key": key})


def test_the_same_request_gets_the_same_answer_and_does_nothing_again(api):
    first = post(api, "/api-keys", {"name": "x", "permission": "sending_access"}, "k")
    again = post(api, "/api-keys", {"permission": "sending_access", "name": "x"}, "k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first
    assert ApiKey.objects.filter(name="x").count() == 1


def test_another_body_under_the_same_key_is_a_conflict(api):
    post(api, "/api-keys", {"name": "x"}, "k")
    answer = post(api, "/api-keys", {"name": "y"}, "k")
    assert (answer.status_code, answer.json()["name"]) == (409, "invalid_idempotent_request")
    assert not ApiKey.objects.filter(name="y").exists()


def test_a_key_belongs_to_one_route_and_one_workspace(api, stranger, domain):
    first = post(api, "/api-keys", {"name": "x"}, "k").json()
    theirs = post(stranger, "/api-keys", {"name": "x"}, "k").json()
    assert theirs["id"] != first["id"]
    assert post(api, "/emails", EMAIL, "k").status_code == 200
    assert post(api, "/emails/batch", [EMAIL], "k").status_code == 200


def test_the_keys_of_one_workspace_share_their_idempotency_keys(api, workspace, client_for):
    colleague = client_for(create_api_key(workspace=workspace, name="c")[1])
    first = post(api, "/api-keys", {"name": "x"}, "k").json()
    assert post(colleague, "/api-keys", {"name": "x"}, "k").json() == first


def test_both_spellings_of_a_path_are_one_route(api):
    first = post(api, "/api-keys", {"name": "x"}, "k").json()
    assert post(api, "/api/api-keys", {"name": "x"}, "k").json() == first


def test_what_changes_the_meaning_of_the_body_is_part_of_the_request(api, domain):
    headers = {"Idempotency-Key": "k"}
    api.post("/emails/batch", [EMAIL], headers=headers)
    headers["x-batch-validation"] = "permissive"
    assert api.post("/emails/batch", [EMAIL], headers=headers).status_code == 409


def test_a_refusal_does_not_use_the_key_up(api, domain):
    assert post(api, "/emails", EMAIL | {"to": "nonsense"}, "k").status_code == 422
    assert post(api, "/emails", EMAIL | {"from": "a@elsewhere.example"}, "k").status_code == 403
    answer = post(api, "/emails", EMAIL, "k")
    assert answer.status_code == 200
    assert "idempotent-replayed" not in answer


@pytest.mark.parametrize(
    ("key", "status"),
    [("x", 201), ("x" * 256, 201), ("x" * 257, 400), ("ü", 400)],
)
def test_a_key_has_1_to_256_ascii_characters(api, key, status):
    answer = post(api, "/api-keys", {"name": "x"}, key)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["name"] == "invalid_idempotency_key"


def test_an_empty_key_is_refused(api):
    answer = post(api, "/api-keys", {"name": "x"}, "")
    assert (answer.status_code, answer.json()["name"]) == (400, "invalid_idempotency_key")


def test_answers_are_kept_encrypted(api):
    token = post(api, "/api-keys", {"name": "x"}, "k").json()["token"]
    record = IdempotencyRecord.objects.get()
    assert not [value for value in vars(record).values() if token in str(value)]


def test_a_key_may_be_used_again_after_its_day(api):
    first = post(api, "/api-keys", {"name": "x"}, "k").json()
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    second = post(api, "/api-keys", {"name": "other"}, "k")
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]
    assert post(api, "/api-keys", {"name": "other"}, "k").json() == second.json()


def test_old_records_are_forgotten(api):
    post(api, "/api-keys", {"name": "x"}, "old")
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=25))
    post(api, "/api-keys", {"name": "y"}, "new")
    assert purge_old_idempotency_records() == 1
    assert IdempotencyRecord.objects.get().key == "new"


def test_work_that_breaks_leaves_neither_work_nor_record(api, monkeypatch):
    def broken(**fields):
        create_api_key(**fields)
        raise RuntimeError("killed")

    monkeypatch.setattr(services, "create_api_key", broken)
    api.raise_request_exception = False
    assert post(api, "/api-keys", {"name": "x"}, "k").status_code == 500
    monkeypatch.undo()
    assert not ApiKey.objects.filter(name="x").exists()
    assert post(api, "/api-keys", {"name": "x"}, "k").status_code == 201


# --- Several at once, each with a connection of its own -------------------------------------------


def in_parallel(count, act):
    def run(_):
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_a_request_in_flight_makes_its_repetition_wait(api_key, client_for, monkeypatch):
    began, go_on = threading.Event(), threading.Event()

    def slow(**fields):
        began.set()
        assert go_on.wait(10)
        return create_api_key(**fields)

    monkeypatch.setattr(services, "create_api_key", slow)
    with ThreadPoolExecutor(1) as pool:

        def first():
            try:
                return post(client_for(api_key[1]), "/api-keys", {"name": "x"}, "k")
            finally:
                connection.close()

        running = pool.submit(first)
        assert began.wait(10)
        answer = post(client_for(api_key[1]), "/api-keys", {"name": "x"}, "k")
        go_on.set()
        made = running.result(10)
    assert answer.status_code == 409
    assert answer.json()["name"] == "concurrent_idempotent_requests"
    assert int(answer["retry-after"]) >= 1
    assert made.status_code == 201
    replay = post(client_for(api_key[1]), "/api-keys", {"name": "x"}, "k")
    assert replay.json() == made.json()


@pytest.mark.django_db(transaction=True)
def test_fifty_parallel_requests_with_one_key_make_one_email(api_key, client_for, domain):
    answers = in_parallel(50, lambda: post(client_for(api_key[1]), "/emails", EMAIL, "k"))
    assert Email.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    made = {answer.json()["id"] for answer in answers if answer.status_code == 200}
    assert made == {str(Email.objects.get().pk)}
    refused = {answer.json()["name"] for answer in answers if answer.status_code == 409}
    assert refused <= {"concurrent_idempotent_requests"}


@pytest.mark.django_db(transaction=True)
def test_a_holder_that_died_leaves_nothing_behind(api_key, client_for, monkeypatch):
    """Its connection is cut by the server while it holds the key, as when its process is killed."""
    from django.db import OperationalError

    pids = []

    def dies(**fields):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        create_api_key(**fields)
        from django.db import connections

        other = connections["default"].copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", pids)
        other.close()
        raise OperationalError("gone")

    monkeypatch.setattr(services, "create_api_key", dies)
    client = client_for(api_key[1])
    client.raise_request_exception = False
    assert post(client, "/api-keys", {"name": "x"}, "k").status_code == 503
    connection.close()
    monkeypatch.undo()
    answer = post(client_for(api_key[1]), "/api-keys", {"name": "x"}, "k")
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer
    assert ApiKey.objects.filter(name="x").count() == 1


@pytest.mark.django_db(transaction=True)
def test_no_lock_outlives_its_request(api, monkeypatch):
    """A connection goes back to a pool, maybe one that is shared with other hosts."""

    def broken(**fields):
        raise RuntimeError("killed")

    post(api, "/api-keys", {"name": "x"}, "made")
    post(api, "/api-keys", {"name": ""}, "refused")
    monkeypatch.setattr(services, "create_api_key", broken)
    api.raise_request_exception = False
    post(api, "/api-keys", {"name": "x"}, "broken")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone() == (0,)
