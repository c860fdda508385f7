"""What contacts offer to other apps."""

from contacts import event_types

EVENT_TYPES = event_types.EVENT_TYPES
