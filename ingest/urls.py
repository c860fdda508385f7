from django.urls import path

from ingest.api import ses

urlpatterns = [
    path("events/ses", ses.ses_events),
]
