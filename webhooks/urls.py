from django.urls import path

from webhooks import api, api_catalogue, api_deliveries

urlpatterns = [
    path("webhooks", api.WebhooksView.as_view()),
    path("webhooks/event-types", api_catalogue.EventTypesView.as_view()),
    path("webhooks/<str:webhook_id>", api.WebhookView.as_view()),
    path(
        "webhooks/<str:webhook_id>/signing-secret/rotate",
        api.RotateSecretView.as_view(),
    ),
    path("webhooks/<str:webhook_id>/test", api_deliveries.SendTestEventView.as_view()),
    path("webhooks/<str:webhook_id>/events", api_deliveries.WebhookEventsView.as_view()),
    path(
        "webhooks/<str:webhook_id>/events/<str:event_id>",
        api_deliveries.WebhookEventView.as_view(),
    ),
    path(
        "webhooks/<str:webhook_id>/events/<str:event_id>/attempts",
        api_deliveries.WebhookAttemptsView.as_view(),
    ),
    path(
        "webhooks/<str:webhook_id>/events/<str:event_id>/replay",
        api_deliveries.ReplayEventView.as_view(),
    ),
    path("webhooks/<str:webhook_id>/recover", api_deliveries.RecoverWebhookView.as_view()),
    path("webhooks/<str:webhook_id>/recoveries", api_deliveries.RecoveriesView.as_view()),
    path(
        "webhooks/<str:webhook_id>/recoveries/<str:recovery_id>",
        api_deliveries.RecoveryView.as_view(),
    ),
]
