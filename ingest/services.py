"""Store provider callbacks and reprocess them."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Least, Now
from django.utils import timezone

from core.context import request_id
from core.db import prepared
from core.db.ids import uuid7
from core.queue.wake import hint, wake
from ingest import queues
from ingest.models import ProviderEvent
from ingest.sns import SnsMessage, is_control


def store(message: SnsMessage, raw: bytes) -> bool:
    """Store a verified notification unchanged, in one statement. False for a duplicate."""
    control = is_control(message)
    kind = ProviderEvent.Kind.CONTROL if control else ProviderEvent.Kind.NOTIFICATION
    stored = _insert(message, raw, kind=kind, finished=control)
    if stored and not control:
        hint(queues.PROCESS_SES.task)
    return stored


def store_control_message(message: SnsMessage, raw: bytes, kind: ProviderEvent.Kind) -> None:
    """Store a message that needs no processing, so that operators see it in the admin."""
    _insert(message, raw, kind=kind, finished=True)


def reprocess(rows: "QuerySet[ProviderEvent]") -> int:
    """Make all but control messages due again; returns how many. Known facts change nothing."""
    selected = rows.exclude(state=ProviderEvent.State.NOTED)
    count = 0
    with transaction.atomic():
        for source, queue in queues.BY_SOURCE.items():
            updated = selected.filter(source=source).update(
                state=ProviderEvent.State.RECEIVED,
                reason="",
                next_attempt_at=Least("next_attempt_at", Now()),
                crashes=0,
            )
            if updated:
                wake(queue.task)
            count += updated
    return count


def received_since(age: timedelta) -> "QuerySet[ProviderEvent]":
    return ProviderEvent.objects.filter(received_at__gte=timezone.now() - age)


def _insert(message: SnsMessage, raw: bytes, *, kind: ProviderEvent.Kind, finished: bool) -> bool:
    """In autocommit mode the row is durable when this returns."""
    state = ProviderEvent.State.NOTED if finished else ProviderEvent.State.RECEIVED
    with prepared.cursor() as cursor:
        cursor.execute(
            "INSERT INTO provider_events (id, source, event_id, kind, topic_arn, body, state,"
            " reason, type, request_id, received_at, next_attempt_at, claims, crashes)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, '', '', %s, now(),"
            " CASE WHEN %s THEN NULL ELSE now() END, 0, 0) ON CONFLICT DO NOTHING",
            [
                uuid7(),
                queues.SES,
                message.message_id.lower(),
                kind.value,
                message.topic_arn,
                raw.decode(),  # verified as JSON, so UTF-8 without a NUL
                state.value,
                request_id.get(),
                finished,
            ],
        )
        return bool(cursor.rowcount)
