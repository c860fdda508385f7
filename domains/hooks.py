"""What domains offer to other apps."""

from domains import event_types, services

DOMAIN_OWNERS = [services.owns]
EVENT_TYPES = event_types.EVENT_TYPES
