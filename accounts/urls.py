from django.urls import path

from accounts.api import api_keys

urlpatterns = [
    path("api-keys", api_keys.ApiKeysView.as_view()),
    path("api-keys/<str:key_id>", api_keys.ApiKeyView.as_view()),
]
