from django.urls import path

from webhooks.api import deliveries, endpoints, event_types

urlpatterns = [
    path("webhooks", endpoints.WebhooksView.as_view()),
    path("webhooks/event-types", event_types.EventTypesView.as_view()),
    path("webhooks/<str:webhook_id>", endpoints.WebhookView.as_view()),
    path(
        "webhooks/<str:webhook_id>/signing-secret/rotate",
        endpoints.RotateSecretView.as_view(),
    ),
    path("webhooks/<str:webhook_id>/test", deliveries.SendTestEventView.as_view()),
    path("webhooks/<str:webhook_id>/events", deliveries.WebhookEventsView.as_view()),
    path(
        "webhooks/<str:webhook_id>/events/<str:event_id>",
        deliveries.WebhookEventView.as_view(),
    ),
    path(
        "webhooks/<str:webhook_id>/events/<str:event_id>/attempts",
        deliveries.WebhookAttemptsView.as_view(),
    ),
    path(
        "webhooks/<str:webhook_id>/events/<str:event_id>/replay",
        deliveries.ReplayEventView.as_view(),
    ),
    path("webhooks/<str:webhook_id>/recover", deliveries.RecoverWebhookView.as_view()),
    path("webhooks/<str:webhook_id>/recoveries", deliveries.RecoveriesView.as_view()),
    path(
        "webhooks/<str:webhook_id>/recoveries/<str:recovery_id>",
        deliveries.RecoveryView.as_view(),
    ),
]
