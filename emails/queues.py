"""What is worked off about emails."""

from core.queue.queues import Periodic, Queue

SEND = Queue(
    name="send",
    task="emails.tasks.send_due_emails",
    model="emails.Email",
    process="emails.sending.loop.send_due",
    celery_queue="sending",
    is_loop=True,
    rows={"status__in": ["queued", "scheduled"]},
)
RESOLVE_UNKNOWN = Queue(
    name="resolve-unknown",
    task="emails.tasks.resolve_unknown_sends",
    model="emails.Email",
    process="emails.sending.send_results.resolve_unknown",
    rows={"status__in": ["sending", "unknown", "held"]},
)
RECORD_HITS = Queue(
    name="record-hits",
    task="emails.tasks.record_due_hits",
    model="tracking.Hit",
    process="emails.facts.opens_and_clicks.record_hits",
)
PURGE_BLOBS = Periodic("emails.tasks.purge_orphaned_blobs")
PURGE_CONTENT = Periodic("emails.tasks.purge_old_content")
PURGE_EMAILS = Periodic("emails.tasks.purge_old_emails")

QUEUES = [SEND, RESOLVE_UNKNOWN, RECORD_HITS]
PERIODIC = [PURGE_BLOBS, PURGE_CONTENT, PURGE_EMAILS]
