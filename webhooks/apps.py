from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from django.db.models import OuterRef, Subquery
        from django.db.models.lookups import IsNull

        from events.subscriptions import keep_while, subscribe
        from webhooks.fanout import fan_out
        from webhooks.models import Delivery

        subscribe(fan_out)
        # Keep events with unfinished deliveries: a retry needs the body. This is a scalar
        # subquery because EXISTS becomes a join, and a planner that expects no pending
        # deliveries then scans all of them for each event.
        unfinished = Delivery.objects.filter(
            event=OuterRef("pk"), status__in=["pending", "attempting"]
        )
        keep_while(IsNull(Subquery(unfinished.values("pk")[:1]), False))
