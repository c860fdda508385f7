from django.apps import AppConfig


class EmailsConfig(AppConfig):
    name = "emails"

    def ready(self) -> None:
        from core.health import warn_of
        from emails.operator_alerts import problems, tell_operators
        from events.subscriptions import subscribe

        subscribe(tell_operators)
        warn_of(problems)
