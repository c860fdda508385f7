"""The API and the admin render the details of facts whatever JSON their rows hold."""

import json

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.db.ids import uuid7
from emails.models import EmailEvent

# What PostgreSQL's jsonb holds: text without U+0000 and surrogates, numbers of any size.
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=8)
NUMBERS = st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
DETAILS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


@pytest.fixture
def store(accepted):
    """Store details as they are in the row of a new fact; the email."""
    email = accepted()

    def insert(details, **changes):
        fact = EmailEvent.objects.create(
            email=email,
            workspace_id=email.workspace_id,
            type="delivered",
            fingerprint=str(uuid7()),
            occurred_at=timezone.now(),
            **changes,
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE email_events SET payload = %s::jsonb WHERE id = %s",
                [json.dumps(details), fact.pk],
            )
        return email

    return insert


@pytest.mark.django_db
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(details=DETAILS)
@example(details={"processingTimeMillis": 1e30})
@example(details={"deliveries": [10**30, -(10**30), 2**64]})
@example(details=nested(140))
@example(details=None)
@example(details=[1, 2])
@example(details="text")
def test_whatever_is_stored_is_rendered(details, store, api):
    with transaction.atomic():
        email = store(details)
        for page in ("events", "trace"):
            answer = api.get(f"/emails/{email.pk}/{page}")
            assert answer.status_code == 200
            (shown,) = answer.json()["data" if page == "events" else "entries"]
            assert isinstance(shown["data"], dict)
        transaction.set_rollback(True)


def test_numbers_beyond_64_bits_are_clamped_in_answers(store, api):
    email = store({"up": 10**30, "down": -(10**30), "exact": 2**63 - 1, "half": 0.5})

    (shown,) = api.get(f"/emails/{email.pk}/events").json()["data"]

    assert shown["data"] == {
        "up": 2**63 - 1,
        "down": -(2**63),
        "exact": 2**63 - 1,
        "half": 0.5,
    }


@pytest.mark.parametrize("details", [{"n": 10**30}, nested(140), [10**30], "text"], ids=type)
def test_the_admin_shows_an_email_with_odd_details(details, store, client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("op", password="a pass phrase"))
    email = store(details)

    assert client.get(f"/admin/emails/email/{email.pk}/change/").status_code == 200
