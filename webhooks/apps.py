from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from django.db.models import Exists, OuterRef

        from events.subscriptions import keep_while, subscribe
        from webhooks.models import Delivery
        from webhooks.subscribers import fan_out

        subscribe(fan_out)
        # A retry needs the bytes; every delivery comes to its end within days.
        owed = Delivery.objects.filter(event=OuterRef("pk"), next_attempt_at__isnull=False)
        keep_while(Exists(owed))
