"""What is worked off about provider callbacks."""

from core.queue.queues import Periodic, Queue

PROCESS_SES = Queue(
    name="process-ses",
    task="ingest.tasks.process_due_events",
    model="ingest.ProviderEvent",
    process="ingest.processing.process_due",
)
PURGE = Periodic("ingest.tasks.purge_old_provider_events")

QUEUES = [PROCESS_SES]
PERIODIC = [PURGE]
