"""`POST /emails/batch`: strict and permissive validation."""

import pytest

from core.db import bulk
from emails.models import Email

pytestmark = pytest.mark.django_db


@pytest.fixture
def post(api, domain):
    def batch(items, mode=None):
        headers = {"x-batch-validation": mode} if mode else {}
        return api.post("/emails/batch", items, headers=headers)

    return batch


def test_the_answer_has_the_ids_in_the_order_of_the_batch(post, message):
    answer = post([message | {"subject": f"Number {number}"} for number in range(100)])

    assert answer.status_code == 200
    subjects = [Email.objects.get(pk=each["id"]).subject for each in answer.json()["data"]]
    assert subjects == [f"Number {number}" for number in range(100)]
    assert list(answer.json()) == ["data"]


@pytest.mark.parametrize("items", [[], {}, "x", [{}] * 101])
@pytest.mark.parametrize("mode", ["strict", "permissive"])
def test_a_batch_has_1_to_100_emails(items, mode, post):
    answer = post(items, mode)

    assert answer.status_code == 422
    assert list(answer.json()["details"]["fields"]) == ["body"]


def test_one_invalid_email_rejects_a_strict_batch(post, message):
    answer = post([message, message | {"to": ["bob@example.net", "nobody"]}])

    assert answer.status_code == 422
    assert list(answer.json()["details"]["fields"]) == ["1.to.1"]
    assert not Email.objects.exists()


def test_a_foreign_domain_rejects_a_strict_batch(post, message):
    answer = post([message, message | {"from": "ada@example.org"}], "strict")

    assert (answer.status_code, answer.json()["name"]) == (403, "domain_not_verified")
    assert not Email.objects.exists()


def test_an_unsupported_field_is_named_with_its_index(post, message):
    answer = post([message, message | {"topic_id": "news"}])

    assert answer.json()["name"] == "unsupported_field"
    assert list(answer.json()["details"]["fields"]) == ["1.topic_id"]


def test_an_invalid_time_is_named_with_its_index(post, message):
    answer = post([message, message | {"scheduled_at": "yesterday"}])

    assert answer.json()["name"] == "validation_error"
    assert list(answer.json()["details"]["fields"]) == ["1.scheduled_at"]
    assert not Email.objects.exists()


@pytest.mark.parametrize("mode", ["strict", "permissive"])
def test_emails_of_a_batch_are_marked_as_such(mode, api, post, message):
    api.post("/emails", message | {"subject": "Single"})
    post([message, message], mode)

    rows = Email.objects.order_by("pk").values_list("subject", "is_batch")
    assert list(rows) == [("Single", False), ("Hello", True), ("Hello", True)]


def test_the_valid_emails_of_a_permissive_batch_are_accepted(post, message):
    answer = post(
        [
            message | {"subject": ""},
            message,
            "no email",
            message | {"from": "ada@example.org"},
            message | {"template": {"id": "x"}},
            message | {"subject": "Another"},
        ],
        "permissive",
    )

    assert answer.status_code == 200
    subjects = [Email.objects.get(pk=each["id"]).subject for each in answer.json()["data"]]
    assert subjects == ["Hello", "Another"]
    assert Email.objects.count() == 2
    errors = answer.json()["errors"]
    assert [error["index"] for error in errors] == [0, 2, 3, 4]
    assert "subject" in errors[0]["message"]
    assert "POST /domains" in errors[2]["message"]
    assert "template" in errors[3]["message"]


def test_a_permissive_batch_may_have_no_valid_email(post, message):
    answer = post([{}], "permissive")

    assert answer.status_code == 200
    assert answer.json()["data"] == []
    assert [error["index"] for error in answer.json()["errors"]] == [0]


def test_an_unknown_mode_is_rejected(post, message):
    answer = post([message], "lenient")

    assert list(answer.json()["details"]["fields"]) == ["x-batch-validation"]


def test_the_number_of_statements_does_not_grow_with_the_batch(
    post, message, django_assert_max_num_queries
):
    post([message])
    with django_assert_max_num_queries(40) as few:
        post([message] * bulk.COPY_ABOVE)
    with django_assert_max_num_queries(len(few)):
        post([message] * 100)


def test_the_number_of_statements_does_not_grow_with_scheduled_emails(
    post, message, django_assert_max_num_queries
):
    post([message | {"scheduled_at": "in 1 hour"}])
    with django_assert_max_num_queries(60) as few:
        post([message | {"scheduled_at": "in 1 hour"}] * bulk.COPY_ABOVE)
    with django_assert_max_num_queries(len(few)):
        post([message | {"scheduled_at": "in 1 hour"}] * 100)
