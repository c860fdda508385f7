from django.apps import AppConfig


class OpenSendConfig(AppConfig):
    name = "opensend"
