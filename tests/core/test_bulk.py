import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from psycopg import sql

from core.db import bulk
from core.db.ids import uuid7
from domains.models import DnsRecord, Domain
from emails.models import EmailEvent
from events.models import Event

pytestmark = pytest.mark.django_db


def record(domain, name, **more):
    return {
        "id": uuid7(),
        "domain_id": domain.pk,
        "purpose": "DKIM",
        "name": name,
        "type": "CNAME",
        "value": "x",
        "ttl": "Auto",
        "priority": None,
        "status": "pending",
    } | more


def test_rows_that_violate_a_constraint_are_skipped_and_the_inserted_ones_returned(domain):
    first, again, other = (record(domain, name) for name in ("a", "a", "b"))
    inserted = bulk.insert_ignoring_conflicts(DnsRecord, [first, again, other])
    assert inserted == {first["id"], other["id"]}
    assert bulk.insert_ignoring_conflicts(DnsRecord, [record(domain, "a")]) == set()
    assert DnsRecord.objects.count() == 2


def test_another_column_of_the_inserted_rows_can_be_returned(domain):
    rows = [record(domain, "a"), record(domain, "b")]
    assert bulk.insert_ignoring_conflicts(DnsRecord, rows, returning="name") == {"a", "b"}


def test_a_thousand_rows_are_inserted_in_one_statement(domain, django_assert_num_queries):
    rows = [record(domain, str(number)) for number in range(1000)]
    with django_assert_num_queries(1):
        assert len(bulk.insert_ignoring_conflicts(DnsRecord, rows)) == 1000


def test_without_rows_no_statement_is_run(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert bulk.insert_ignoring_conflicts(DnsRecord, []) == set()
        assert bulk.update_each(DnsRecord, [], sets=sql.SQL("name = new.name")) == []


def test_json_times_and_nulls_are_stored_unupdated(workspace, emails_due):
    from emails.models import Email

    emails_due(workspace, 1)
    payload = {"a": [1, None, "ü\u2028"], "b": {"c": 1.5}}
    now = timezone.now()
    bulk.insert_ignoring_conflicts(
        EmailEvent,
        [
            {
                "id": uuid7(),
                "email_id": Email.objects.get().pk,
                "workspace_id": workspace.pk,
                "type": "delivery",
                "recipient": "",
                "status": "",
                "fingerprint": "f",
                "payload": payload,
                "occurred_at": now,
                "received_at": now,
            }
        ],
    )
    stored = EmailEvent.objects.get()
    assert (stored.payload, stored.occurred_at) == (payload, now)


def test_each_row_gets_its_own_values(events):
    one, two, three = events(3)
    updated = bulk.update_each(
        Event,
        [
            {"id": one.pk, "last_error": "first", "claims": 1},
            {"id": two.pk, "last_error": "second", "claims": 9},
            {"id": uuid7(), "last_error": "nobody", "claims": 9},
        ],
        sets=sql.SQL("last_error = new.last_error || new.claims"),
        where=sql.SQL("old.claims < new.claims"),
    )
    assert set(updated) == {one.pk, two.pk}
    errors = {row.pk: row.last_error for row in Event.objects.all()}
    assert errors == {one.pk: "first1", two.pk: "second9", three.pk: ""}


def test_only_rows_that_match_the_condition_are_updated(events):
    one, two = events(2)
    rows = [{"id": one.pk, "claims": 0}, {"id": two.pk, "claims": 7}]
    updated = bulk.update_each(
        Event,
        rows,
        sets=sql.SQL("last_error = 'x'"),
        where=sql.SQL("old.claims = new.claims"),
        returning="type",
    )
    assert updated == ["webhook.test"]
    assert Event.objects.get(last_error="x").pk == one.pk


@pytest.fixture(params=["few", "many"])
def _few_or_many(request, monkeypatch):
    """Once with few objects, inserted by one statement, and once with many, by COPY."""
    monkeypatch.setattr(bulk, "COPY_ABOVE", 0 if request.param == "many" else 10)


@pytest.mark.usefixtures("_few_or_many")
def test_inserted_rows_have_the_values_of_the_objects(workspace):
    from emails.models import Email

    headers = {"X-Odd": 'tab\there, \\backslash, "quote" and ü'}
    email = Email(
        workspace=workspace,
        region="us-east-1",
        sender="a@b.test",
        to=["Ü, {curly} <c@d.test>", 'back\\slash "q" <e@f.test>'],
        subject="line\nfeed \\N 100 %s",
        text="\\.\nend",
        headers=headers,
        message_id="<x@b.test>",
        next_attempt_at=timezone.now(),
    )
    bulk.insert([email])
    stored = Email.objects.get()
    for field in Email._meta.concrete_fields:
        assert getattr(stored, field.attname) == getattr(email, field.attname), field.attname


@pytest.mark.usefixtures("_few_or_many")
def test_database_defaults_are_applied(workspace):
    events = [Event(workspace=workspace, type="email.sent", body="{}") for _ in range(3)]
    bulk.insert(events)
    assert {event.pk for event in Event.objects.due()} == {event.pk for event in events}


@pytest.mark.usefixtures("_few_or_many")
def test_violating_a_constraint_raises_integrity_error(workspace):
    event = Event(workspace=workspace, type="email.sent", body="{}")
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert([event, event])
    assert not Event.objects.exists()


@pytest.fixture
def other(workspace):
    """A domain that is not inserted yet."""
    return Domain(
        workspace=workspace, name="other.example", region="us-east-1", created_at=timezone.now()
    )


@pytest.mark.usefixtures("_few_or_many")
def test_groups_are_inserted_in_order(other):
    """Records reference domains, so the domains must be inserted first."""
    records = [DnsRecord(domain=other, name=name, type="TXT", value="x") for name in "ab"]

    with transaction.atomic():
        bulk.insert([other], [], records)

    assert set(DnsRecord.objects.filter(domain=other).values_list("pk", flat=True)) == {
        each.pk for each in records
    }


def test_few_objects_of_several_models_take_one_statement(other, django_assert_num_queries):
    with django_assert_num_queries(1):
        bulk.insert([other], [DnsRecord(domain=other, name="a", type="TXT", value="x")], [])
    with django_assert_num_queries(0):
        bulk.insert([], [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_few_or_many")
def test_groups_are_inserted_all_or_none(other):
    record = DnsRecord(domain=other, name="a", type="TXT", value="x")

    with pytest.raises(IntegrityError):
        bulk.insert([other], [record, record])

    assert not Domain.objects.filter(pk=other.pk).exists()
