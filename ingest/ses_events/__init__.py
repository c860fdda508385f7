"""SES events (Amazon SES developer guide, "Event data that Amazon SES publishes").

Both formats are accepted: event publishing (`eventType`) and identity notifications
(`notificationType`). Unknown fields are ignored, because SES may add fields.
"""

from ingest.ses_events.event import SesEvent, parse_event

__all__ = ["SesEvent", "parse_event"]
