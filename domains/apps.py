from django.apps import AppConfig


class DomainsConfig(AppConfig):
    name = "domains"

    def ready(self) -> None:
        from accounts.services import ask_domains_of
        from domains.services import owns

        ask_domains_of(owns)
