from django.apps import AppConfig


class OpenSendConfig(AppConfig):
    name = "opensend"

    def ready(self) -> None:
        import opensend.checks  # noqa: F401
