from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from events.subscriptions import subscribe
        from webhooks.subscribers import fan_out

        subscribe(fan_out)
