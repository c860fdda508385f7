"""Which addresses webhook requests may reach."""

from django.conf import settings

from core.outbound import OutboundPolicy


def outbound_policy() -> OutboundPolicy:
    return OutboundPolicy(
        allow_http=settings.WEBHOOK_ALLOW_HTTP,
        allowed_networks=tuple(settings.WEBHOOK_ALLOWED_NETWORKS),
    )
