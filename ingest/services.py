"""The verbs on callbacks: keep one, run some again."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from core.context import request_id
from core.db import prepared
from core.db.ids import uuid7
from core.queue.wake import hint, wake
from ingest.models import ProviderEvent
from ingest.sns import SnsMessage, is_control

PROCESS = "ingest.tasks.process_due_events"
SES = "ses"


def store(message: SnsMessage, raw: bytes) -> bool:
    """Commit a verified notification as it was posted, in one statement.

    False when it was here before.
    """
    noted = is_control(message)
    kind = ProviderEvent.Kind.CONTROL if noted else ProviderEvent.Kind.NOTIFICATION
    kept = _insert(message, raw, kind=kind, noted=noted)
    if kept and not noted:
        hint(PROCESS)
    return kept


def note(message: SnsMessage, raw: bytes, kind: ProviderEvent.Kind) -> None:
    """Keep a message that asks for no work: it shows in the admin."""
    _insert(message, raw, kind=kind, noted=True)


def reprocess(rows: "QuerySet[ProviderEvent]") -> int:
    """Make callbacks due again, whatever became of them; how many. Facts count once anyway."""
    again = rows.exclude(state=ProviderEvent.State.NOTED)
    with transaction.atomic():
        count = again.update(
            state=ProviderEvent.State.RECEIVED,
            reason="",
            next_attempt_at=Now(),
            crashes=0,
        )
        wake(PROCESS)
    return count


def received_since(age: timedelta) -> "QuerySet[ProviderEvent]":
    return ProviderEvent.objects.filter(received_at__gte=timezone.now() - age)


def _insert(message: SnsMessage, raw: bytes, *, kind: ProviderEvent.Kind, noted: bool) -> bool:
    """Outside a transaction the statement is its own: it is durable when this returns."""
    state = ProviderEvent.State.NOTED if noted else ProviderEvent.State.RECEIVED
    with prepared.cursor() as cursor:
        cursor.execute(
            "INSERT INTO provider_events (id, source, event_id, kind, topic_arn, body, state,"
            " reason, type, request_id, received_at, next_attempt_at, claims, crashes)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, '', '', %s, now(),"
            " CASE WHEN %s THEN NULL ELSE now() END, 0, 0) ON CONFLICT DO NOTHING",
            [
                uuid7(),
                SES,
                message.message_id.lower(),
                kind.value,
                message.topic_arn,
                raw.decode(),  # judged to be JSON, and so to be UTF-8 without a NUL
                state.value,
                request_id.get(),
                noted,
            ],
        )
        return bool(cursor.rowcount)
