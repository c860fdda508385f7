"""Kept answers belong to the workspace; what a key may not do is refused before any of them."""

from uuid import UUID

import pytest
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from accounts.models import ApiKey, IdempotencyRecord
from accounts.services import create_api_key
from domains.models import Domain
from emails.models import Email

pytestmark = pytest.mark.django_db
EMAIL = {"from": "Ada <a@example.com>", "to": "b@example.net", "subject": "s", "text": "t"}
FILE = {"filename": "a.txt", "path": "https://files.example/a.txt"}


def post(client, path, body, key="k", **headers):
    return client.post(path, body, headers={"Idempotency-Key": key} | headers)


def refused(answer, name="api_key_domain_restricted"):
    return (answer.status_code, answer.json().get("name")) == (403, name)


def gets_to_the_record(answer):
    return (answer.status_code, answer.json()["name"]) == (409, "invalid_idempotent_request")


@pytest.fixture
def other(workspace):
    return Domain.objects.create(
        workspace=workspace, name="other.example", status="verified", region="us-east-1"
    )


@pytest.fixture
def restricted(workspace, client_for):
    """`restricted(domain)`: the client of a key that may only send from this domain."""

    def client(domain):
        limits = {"permission": "sending_access", "domain_id": domain.pk}
        return client_for(create_api_key(workspace=workspace, name="r", **limits)[1])

    return client


@pytest.fixture
def keep(workspace):
    """`keep(path)`: an answer is kept under the key, so whoever gets there is told a conflict."""

    def keep(path):
        IdempotencyRecord.objects.create(
            workspace=workspace, route=f"POST {path}", key="k", fingerprint="another", status=200
        )

    return keep


def idempotent_paths(patterns=None, prefix="/"):
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            yield from idempotent_paths(each.url_patterns, prefix + str(each.pattern))
            continue
        view = getattr(each.callback, "view_class", None)
        operation = getattr(getattr(view, "post", None), "operation", None)
        if operation and operation.is_idempotent and not prefix.startswith("/api/"):
            path = prefix + str(each.pattern)
            for name in ("webhook_id", "event_id", "domain_id", "email_id"):
                path = path.replace(f"<str:{name}>", str(UUID(int=7)))
            yield pytest.param(path, operation, id=path)


def test_another_domains_answer_is_refused(api, domain, other, restricted):
    assert post(api, "/emails", EMAIL).status_code == 200
    assert refused(post(restricted(other), "/emails", EMAIL))
    assert Email.objects.count() == 1


@pytest.mark.parametrize(
    "sender", ["a@EXAMPLE.com", "a@example.com", '"Ada, L" <a@example.com>', "<a@example.com>"]
)
def test_however_the_sender_is_written(api, domain, other, restricted, sender):
    body = EMAIL | {"from": sender}
    assert post(api, "/emails", body).status_code == 200
    assert refused(post(restricted(other), "/emails", body))


def test_a_key_of_the_same_domain_gets_the_answer(api, domain, restricted):
    first = post(api, "/emails", EMAIL)
    again = post(restricted(domain), "/emails", EMAIL)
    assert (again.json(), again["idempotent-replayed"]) == (first.json(), "true")


def test_a_batch_is_refused_for_one_of_its_emails(api, domain, other, restricted):
    batch = [EMAIL | {"from": "a@other.example"}, EMAIL]
    assert post(api, "/emails/batch", batch).status_code == 200
    assert refused(post(restricted(other), "/emails/batch", batch))
    assert refused(post(restricted(domain), "/emails/batch", batch))


def test_a_permissive_batch_never_shows_the_ids_of_others(api, domain, other, restricted):
    batch, permissive = (
        [EMAIL | {"from": "a@other.example"}, EMAIL],
        {"x-batch-validation": "permissive"},
    )
    shown = post(api, "/emails/batch", batch, **permissive).json()
    assert len(shown["data"]) == 2
    answer = post(restricted(other), "/emails/batch", batch, **permissive)
    assert (answer.status_code, answer.json()["name"]) == (409, "invalid_idempotent_request")
    own = post(restricted(other), "/emails/batch", batch, "k2", **permissive).json()
    assert ([error["index"] for error in own["errors"]], len(own["data"])) == ([1], 1)
    again = post(restricted(other), "/emails/batch", batch, "k2", **permissive)
    assert again.json() == own


def test_the_answer_to_a_slow_request_is_refused_as_well(keep, other, domain, restricted, api):
    body = EMAIL | {"attachments": [FILE]}
    keep("/emails")
    assert gets_to_the_record(post(api, "/emails", body))
    assert refused(post(restricted(other), "/emails", body))


def test_a_key_that_is_limited_later_is_refused_from_then_on(api, api_key, domain, other):
    assert post(api, "/emails", EMAIL).status_code == 200
    ApiKey.objects.filter(pk=api_key[0].pk).update(permission="sending_access", domain_id=other.pk)
    assert refused(post(api, "/emails", EMAIL))


def test_a_domain_that_was_removed_and_added_again_is_another_one(api, domain, restricted):
    client = restricted(domain)
    Domain.objects.filter(pk=domain.pk).delete()
    Domain.objects.create(
        workspace=domain.workspace, name="example.com", status="verified", region="us-east-1"
    )
    assert post(api, "/emails", EMAIL).status_code == 200
    assert refused(post(client, "/emails", EMAIL))


@pytest.mark.parametrize(
    "body",
    [{}, [], {"from": 5}, {"from": ["a@example.com"]}, {"from": "nonsense"}, {"from": None}, "x"],
)
def test_a_malformed_body_is_a_422_as_ever(restricted, domain, body):
    client = restricted(domain)
    assert post(client, "/emails", body).status_code == 422
    assert post(client, "/emails/batch", [body]).status_code == 422
    assert post(client, "/emails/batch", body).status_code == 422


def test_a_key_may_send_repeatedly_without_an_idempotency_key(domain, other, restricted):
    client = restricted(domain)
    assert client.post("/emails", EMAIL).status_code == 200
    assert refused(client.post("/emails", EMAIL | {"from": "a@other.example"}))


@pytest.mark.parametrize(("path", "operation"), list(idempotent_paths()))
def test_no_operation_answers_a_key_without_its_scope(
    path, operation, api, workspace, client_for, keep
):
    keep(path)
    assert gets_to_the_record(post(api, path, {}))
    key, token = create_api_key(workspace=workspace, name="s", permission="sending_access")
    answer = post(client_for(token), path, {})
    if operation.needs == "emails:send":
        assert gets_to_the_record(answer)
    else:
        assert refused(answer, "restricted_api_key")
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert refused(post(client_for(token), path, {}), "invalid_api_key")


def test_the_walk_finds_the_operations():
    assert len(list(idempotent_paths())) >= 11
