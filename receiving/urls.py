from django.urls import path

from accounts.absent import NotOffered
from receiving import api

NOTHING = "No mail has been received here, so there is none with this id."

urlpatterns = [
    path("emails/receiving", api.ReceivedEmailsView.as_view()),
    path("emails/receiving/<path:rest>", NotOffered.as_view(because=NOTHING)),
]
