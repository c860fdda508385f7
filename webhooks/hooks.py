"""What webhooks offer to lower apps; see core.hooks."""

from django.db.models import OuterRef, Subquery
from django.db.models.lookups import IsNull

from events.subscriptions import Subscriber
from webhooks import event_types
from webhooks.admin import alerts, sections
from webhooks.dispatch import backlog
from webhooks.fanout import fan_out
from webhooks.models import Delivery

_unfinished = Delivery.objects.filter(event=OuterRef("pk"), status__in=["pending", "attempting"])

SUBSCRIBERS = [Subscriber(name="webhooks.fan_out", handle=fan_out)]
EVENT_TYPES = event_types.EVENT_TYPES
# Keep events with unfinished deliveries: a retry needs the body. This is a scalar subquery
# because EXISTS becomes a join, and a planner that expects no pending deliveries then scans all
# of them for each event.
KEEP_EVENTS_WHILE = [IsNull(Subquery(_unfinished.values("pk")[:1]), False)]
ALERTS = [
    alerts.overdue_deliveries,
    alerts.disabled_endpoints,
    alerts.failing_endpoints,
    alerts.half_open_endpoints,
]
QUEUE_STATES = [("webhooks.Delivery", backlog.measure)]
ADMIN_SECTIONS = [("events.Event", sections.deliveries_of)]
