"""What the events app offers to the apps below it, and to its own catalogue."""

from events.event_types import EVENT_TYPES as MAILBOX_TYPES
from events.payloads.by_app import unlisted_types

EVENT_TYPES = [*unlisted_types(), *MAILBOX_TYPES]
