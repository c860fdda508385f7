"""Alerts on the admin's overview."""

from core.admin.base import Alert, bounded_count, list_url
from webhooks.admin.deliveries import late_deliveries
from webhooks.admin.endpoints import failing_long
from webhooks.endpoint_status import AUTO_DISABLED, HALF_OPEN
from webhooks.models import Delivery, Endpoint


def overdue_deliveries() -> Alert:
    return Alert(
        "deliveries are overdue",
        bounded_count(late_deliveries(Delivery.objects.all())),
        list_url(Delivery, work="overdue"),
        one="delivery is overdue",
    )


def disabled_endpoints() -> Alert:
    return Alert(
        "endpoints were disabled automatically: failing for five days, or 410 Gone",
        bounded_count(Endpoint.objects.filter(AUTO_DISABLED, deleted_at=None)),
        list_url(Endpoint, state="switched_off"),
        one="endpoint was disabled automatically: failing for five days, or 410 Gone",
    )


def failing_endpoints() -> Alert:
    return Alert(
        "endpoints have been failing for more than a day",
        bounded_count(Endpoint.objects.enabled().filter(failing_long())),
        list_url(Endpoint, state="failing_long"),
        one="endpoint has been failing for more than a day",
    )


def half_open_endpoints() -> Alert:
    return Alert(
        "endpoints are half-open: no response, 429 or 5xx",
        bounded_count(Endpoint.objects.enabled().filter(HALF_OPEN)),
        list_url(Endpoint, state="half_open"),
        one="endpoint is half-open: no response, 429 or 5xx",
    )
