"""What is worked off about suppressions, and purged."""

from core.queue.queues import Periodic, Queue

REMOVE_FROM_SES = Queue(
    name="remove-from-ses-list",
    task="contacts.tasks.remove_from_ses_list",
    model="contacts.SesRemoval",
    process="contacts.ses_removals.process_due",
)

PURGE = Periodic("contacts.tasks.purge_ses_removals")

QUEUES = [REMOVE_FROM_SES]
PERIODIC = [PURGE]
