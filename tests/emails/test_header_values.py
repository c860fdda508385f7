"""Values of headers and tags that are no strings, as clients of dynamic languages send them."""

import pytest

from emails.models import Email
from webhooks.dispatch import custom_headers
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db


def problems(answer):
    assert answer.status_code == 422, answer.json()
    return answer.json()["details"]["fields"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (0, "0"),
        (-1, "-1"),
        (2**53 + 1, "9007199254740993"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ("7", "7"),
        ("", ""),
    ],
)
def test_a_scalar_becomes_text(accepted, value, text):
    assert accepted(headers={"X-A": value}).headers == {"X-A": text}


def test_null_is_absent(accepted):
    assert accepted(headers={"X-A": None, "X-B": "b"}).headers == {"X-B": "b"}


def test_a_header_that_is_null_may_have_any_name(accepted):
    assert accepted(headers={"Reply-To": None, "": None}).headers == {}


@pytest.mark.parametrize("value", [[], ["a"], {}, {"a": "b"}, [None], 1e300, -(2.0**53)])
def test_anything_else_is_refused_by_its_name(send, value):
    assert list(problems(send(headers={"X-A": value, "X-B": "b"}))) == ["headers.X-A"]


def test_true_asks_for_one_click_unsubscribe_and_false_does_not(accepted, send):
    assert accepted(headers={"X-OpenSend-Unsubscribe": True}).unsubscribe
    assert not accepted(headers={"X-OpenSend-Unsubscribe": None}).unsubscribe
    refused = problems(send(headers={"X-OpenSend-Unsubscribe": False}))
    assert "can only be `true`" in refused["headers.X-OpenSend-Unsubscribe"]


@pytest.mark.parametrize(("value", "text"), [(17, "17"), (True, "true"), (-3, "-3")])
def test_a_tag_may_be_a_number_or_true(accepted, value, text):
    assert accepted(tags=[{"name": "order", "value": value}]).tags == {"order": text}


@pytest.mark.parametrize("value", [1.5, None, [], {}])
def test_a_tag_is_still_letters_digits_underscores_and_hyphens(send, value):
    assert list(problems(send(tags=[{"name": "order", "value": value}]))) == ["tags.0.value"]


def test_each_email_of_a_batch_has_its_own_values(api, domain, message):
    items = [message | {"headers": {"X-A": value}} for value in (1, None, {})]
    assert list(problems(api.post("/emails/batch", items))) == ["2.headers.X-A"]
    assert api.post("/emails/batch", items[:2]).status_code == 200
    assert sorted(map(str, Email.objects.values_list("headers", flat=True))) == [
        "{'X-A': '1'}",
        "{}",
    ]


def test_custom_headers_of_webhooks_are_no_different(api):
    body = {"endpoint": "https://a.example/", "events": ["*"]}
    made = api.post("/webhooks", body | {"headers": {"X-A": 7, "X-B": True, "X-C": None}})
    assert made.status_code == 201, made.json()
    kept = custom_headers.decrypt(Endpoint.objects.get().encrypted_headers)
    assert kept == {"X-A": "7", "X-B": "true"}
    assert list(problems(api.post("/webhooks", body | {"headers": {"X-A": [7]}}))) == [
        "headers.X-A"
    ]
