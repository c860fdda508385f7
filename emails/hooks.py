"""What emails offers to the floors below (core.hooks)."""

from emails import operator_alerts
from emails.admin import overdue_alert, unknown_alert
from emails.event_types import EVENT_TYPES
from emails.sending import backlog
from events.subscriptions import Subscriber

__all__ = ["ALERTS", "EVENT_TYPES", "QUEUE_STATES", "READINESS", "SUBSCRIBERS"]

ALERTS = [overdue_alert, unknown_alert]
QUEUE_STATES = [("emails.Email", backlog.measure)]
READINESS = [operator_alerts.find_problems]
SUBSCRIBERS = [
    Subscriber(
        name="emails.operator_alerts",
        handle=operator_alerts.alert_operators,
        types=operator_alerts.ALERTED_TYPES,
    )
]
