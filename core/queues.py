"""What runs on a timer for the installation."""

from core.queue.queues import Periodic

HEARTBEAT = Periodic("core.tasks.record_heartbeat", every=None)

PERIODIC = [HEARTBEAT]
