"""What domains offer to other apps."""

from domains import event_types, providers, services

DOMAIN_OWNERS = [services.owns]
EVENT_TYPES = event_types.EVENT_TYPES
SES_REGIONS = [providers.ses_regions]
