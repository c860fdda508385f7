"""The queues and periodic tasks of webhooks."""

from core.queue.queues import Periodic, Queue

DELIVER = Queue(
    name="deliver-webhooks",
    task="webhooks.tasks.deliver_due_webhooks",
    model="webhooks.Delivery",
    process="webhooks.dispatch.loop.deliver_due",
    celery_queue="webhooks",
    is_loop=True,
)
RECOVER = Queue(
    name="recover-webhooks",
    task="webhooks.tasks.recover_due_webhooks",
    model="webhooks.Recovery",
    process="webhooks.replay.recover_due",
)
# Not a queue: it looks for disabled and deleted endpoints (webhooks.cleanup).
CLEAN_UP = Periodic("webhooks.tasks.clean_up_endpoints", every=None)
PURGE_ATTEMPTS = Periodic("webhooks.tasks.purge_old_attempts")
PURGE_HOURS = Periodic("webhooks.tasks.purge_old_endpoint_hours")
PURGE_RECOVERIES = Periodic("webhooks.tasks.purge_old_recoveries")

QUEUES = [DELIVER, RECOVER]
PERIODIC = [CLEAN_UP, PURGE_ATTEMPTS, PURGE_HOURS, PURGE_RECOVERIES]
