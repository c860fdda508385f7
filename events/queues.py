"""The queue of events and their periodic tasks."""

from core.queue.queues import Periodic, Queue

DISPATCH = Queue(
    name="dispatch-events",
    task="events.tasks.dispatch_due_events",
    model="events.Event",
    process="events.dispatch.dispatch_due",
)
PURGE = Periodic("events.tasks.purge_old_events")

QUEUES = [DISPATCH]
PERIODIC = [PURGE]
