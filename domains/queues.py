"""What is worked off about domains."""

from core.queue.queues import Queue

CHECK = Queue(
    name="check-domains",
    task="domains.tasks.check_due_domains",
    model="domains.Domain",
    process="domains.verification.check_due",
)

QUEUES = [CHECK]
