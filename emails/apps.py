from django.apps import AppConfig


class EmailsConfig(AppConfig):
    name = "emails"

    def ready(self) -> None:
        from core.health import warn_of
        from emails.operator_alerts import alert_operators, find_problems
        from events.subscriptions import subscribe

        subscribe(alert_operators)
        warn_of(find_problems)
