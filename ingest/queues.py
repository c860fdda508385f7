"""Queues of provider callbacks, one for each source."""

from core.queue.queues import Periodic, Queue

SES = "ses"  # a `ProviderEvent.source`

PROCESS_SES = Queue(
    name="process-ses",
    task="ingest.tasks.process_due_events",
    model="ingest.ProviderEvent",
    process="ingest.processing.process_ses",
    rows={"source": SES},
)
PURGE = Periodic("ingest.tasks.purge_old_provider_events")

BY_SOURCE = {SES: PROCESS_SES}
QUEUES = [*BY_SOURCE.values()]
PERIODIC = [PURGE]
