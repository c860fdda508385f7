"""What runs on a timer about opens and clicks; emails works the hits off."""

from core.queue.queues import Periodic

PURGE = Periodic("tracking.tasks.purge_old_hits")

PERIODIC = [PURGE]
