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
        # A retry needs the bytes; every delivery comes to its end within days. A value that is
        # looked up for each event: EXISTS becomes a join, in which a planner that thinks that
        # nothing is owed goes through all that is, for each event.
        owed = Delivery.objects.filter(event=OuterRef("pk"), status__in=["pending", "attempting"])
        keep_while(IsNull(Subquery(owed.values("pk")[:1]), False))
