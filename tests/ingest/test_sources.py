"""Each source of callbacks has its own queue: a slow one delays no other."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from core.queue.queues import Batch, Queue
from emails.models import EmailEvent
from ingest import queues, services
from ingest.callbacks import Processor, Result, Unparsable
from ingest.models import ProviderEvent
from ingest.processing import PROCESSORS, process, process_ses
from tests.database import captured_statements, concurrently, explain

OTHER = "inbound"
State = ProviderEvent.State


class SlowProcessor:
    """A processor of another source, which can stop in the middle of its transaction."""

    def __init__(self):
        self.recording, self.may_commit = threading.Event(), threading.Event()
        self.may_commit.set()
        self.parsed_in_transactions = []

    def parse(self, row):
        self.parsed_in_transactions.append(connection.in_atomic_block)
        if row.body == "unparsable":
            raise Unparsable("not a mail")
        return row.body

    def match(self, callbacks):
        return {each.row.pk: Result(State(each.event), type="mail") for each in callbacks}

    def record(self, callbacks):
        self.recording.set()
        assert self.may_commit.wait(30)


@pytest.fixture
def other(monkeypatch):
    """Register another source with its processor and its queue."""
    slow = SlowProcessor()
    processor = Processor(parse=slow.parse, match=slow.match, record=slow.record)
    queue = Queue(
        name="process-other",
        task="ingest.tasks.process_due_others",
        model="ingest.ProviderEvent",
        process="ingest.processing.process_other",
    )
    monkeypatch.setitem(PROCESSORS, OTHER, processor)
    monkeypatch.setitem(queues.BY_SOURCE, OTHER, queue)
    return slow


@pytest.fixture
def store_other(db):
    """Store due callbacks of the other source, older than all others."""

    def store(count=1, body="processed"):
        return ProviderEvent.objects.bulk_create(
            ProviderEvent(
                source=OTHER,
                event_id=str(uuid4()),
                body=body,
                next_attempt_at=timezone.now() - timedelta(hours=1),
            )
            for _ in range(count)
        )

    return store


def test_each_source_has_a_processor_and_a_queue():
    assert PROCESSORS.keys() == queues.BY_SOURCE.keys()
    assert list(queues.BY_SOURCE.values()) == queues.QUEUES


@pytest.mark.django_db(transaction=True)
def test_a_long_transaction_of_another_source_delays_no_ses_event(
    sample, make_email, store, other, store_other
):
    make_email()
    store_other(3)
    other.may_commit.clear()
    with concurrently(lambda: process(OTHER)) as slow:
        assert other.recording.wait(10)
        store_other(2)  # due, and older than the SES event
        store(sample("delivery"))

        assert process_ses() == Batch(1, processed=1)

        assert not slow.done()  # the other transaction is still open
        assert EmailEvent.objects.get().type == "delivered"
        other.may_commit.set()
    assert ProviderEvent.objects.filter(source=OTHER, state="processed").count() == 3


@pytest.mark.django_db(transaction=True)
def test_an_ses_event_does_not_queue_behind_the_backlog_of_another_source(
    sample, make_email, store, other, store_other, settings
):
    settings.INGEST_BATCH = 10
    make_email()
    store_other(1_000)
    store(sample("delivery"))

    assert process_ses() == Batch(1, processed=1)
    assert process_ses() == Batch(0)

    assert EmailEvent.objects.get().type == "delivered"
    assert ProviderEvent.objects.filter(source=OTHER, state="received").count() == 1_000
    assert process(OTHER) == Batch(10, processed=10)


def test_a_claim_does_not_read_the_backlog_of_another_source(sample, store, store_other):
    store_other(5_000)
    store(sample("delivery"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE provider_events")

    with captured_statements() as statements, transaction.atomic():
        process_ses()
        transaction.set_rollback(True)

    (claim,) = [sql for sql in statements if "SKIP LOCKED" in sql]
    plan = explain(claim)
    assert "provider_events_due" in plan
    assert "Rows Removed by Filter" not in plan


@pytest.mark.django_db(transaction=True)
def test_callbacks_are_parsed_outside_of_transactions(other, store_other):
    store_other(2)
    process(OTHER)
    assert other.parsed_in_transactions == [False, False]


@pytest.mark.django_db
def test_a_processor_can_limit_its_batches(other, store_other, monkeypatch):
    one_by_one = Processor(parse=other.parse, match=other.match, record=other.record, batch=1)
    monkeypatch.setitem(PROCESSORS, OTHER, one_by_one)
    store_other(2)
    assert process(OTHER).claimed == 1


@pytest.mark.django_db
def test_a_batch_counts_quarantined_and_unmatched_callbacks_as_failed(other, store_other):
    for body in ("processed", "noted", "unmatched", "unparsable"):
        store_other(body=body)
    assert process(OTHER) == Batch(4, processed=2, failed=2)
    assert set(ProviderEvent.objects.values_list("state", flat=True)) == {
        "processed",
        "noted",
        "unmatched",
        "quarantined",
    }


@pytest.mark.django_db
def test_a_batch_does_not_count_callbacks_whose_lease_was_lost(other, store_other, monkeypatch):
    rows = store_other(2)
    match = other.match

    def match_after_lease(callbacks):
        ProviderEvent.objects.filter(pk=rows[0].pk).update(claims=2)  # another worker reclaimed it
        return match(callbacks)

    slow = Processor(parse=other.parse, match=match_after_lease, record=other.record)
    monkeypatch.setitem(PROCESSORS, OTHER, slow)
    assert process(OTHER) == Batch(2, processed=1)


@pytest.mark.django_db
@pytest.mark.parametrize(("sources", "count"), [({"ses"}, 1), ({OTHER}, 2), ({"ses", OTHER}, 3)])
def test_reprocessing_wakes_the_queue_of_each_callbacks_source(
    sources, count, sample, store, other, store_other, monkeypatch
):
    store(sample("delivery"))
    store_other(2)
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None)
    woken = []
    monkeypatch.setattr(services, "wake", woken.append)

    assert services.reprocess(ProviderEvent.objects.filter(source__in=sources)) == count

    assert set(woken) == {queues.BY_SOURCE[source].task for source in sources}
    due = ProviderEvent.objects.filter(next_attempt_at__lte=Now(), state="received")
    assert set(due.values_list("source", flat=True)) == sources


@pytest.mark.django_db
def test_reprocessing_nothing_wakes_no_queue(monkeypatch):
    woken = []
    monkeypatch.setattr(services, "wake", woken.append)
    assert services.reprocess(ProviderEvent.objects.all()) == 0
    assert not woken
