from django.urls import path

from accounts.unsupported import UnsupportedEndpoint
from receiving.api import emails

NO_RECEIVED_EMAIL = "No mail has been received here, so there is none with this id."

urlpatterns = [
    path("emails/receiving", emails.ReceivedEmailsView.as_view()),
    path("emails/receiving/<path:rest>", UnsupportedEndpoint.as_view(because=NO_RECEIVED_EMAIL)),
]
