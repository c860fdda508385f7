from django.urls import path

from ingest import views

urlpatterns = [
    path("events/ses", views.ses_events),
]
