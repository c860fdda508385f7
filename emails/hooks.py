"""What emails offers to the floors below (core.hooks)."""

from emails.admin import overdue_alert, unknown_alert
from emails.event_types import EVENT_TYPES
from emails.operator_alerts import ALERTED_TYPES, alert_operators, find_problems
from events.subscriptions import Subscriber

__all__ = ["ALERTS", "EVENT_TYPES", "READINESS", "SUBSCRIBERS"]

ALERTS = [overdue_alert, unknown_alert]
READINESS = [find_problems]
SUBSCRIBERS = [
    Subscriber(name="emails.operator_alerts", handle=alert_operators, types=ALERTED_TYPES)
]
