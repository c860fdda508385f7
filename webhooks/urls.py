from django.urls import path

from webhooks import api

urlpatterns = [
    path("webhooks", api.WebhooksView.as_view()),
    path("webhooks/<str:webhook_id>", api.WebhookView.as_view()),
    path(
        "webhooks/<str:webhook_id>/signing-secret/rotate",
        api.RotateSecretView.as_view(),
    ),
]
