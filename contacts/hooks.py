"""What contacts offer to other apps."""

from contacts import event_types
from contacts.admin import failing_removals

ALERTS = [failing_removals]
EVENT_TYPES = event_types.EVENT_TYPES
