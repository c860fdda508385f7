"""What runs on a timer about accounts."""

from core.queue.queues import Periodic

PURGE = Periodic("accounts.tasks.purge_old_idempotency_records")

PERIODIC = [PURGE]
