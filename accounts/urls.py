from django.urls import path

from accounts import api

urlpatterns = [
    path("api-keys", api.ApiKeysView.as_view()),
    path("api-keys/<str:key_id>", api.ApiKeyView.as_view()),
]
