from django.urls import path

from accounts.unsupported import UnsupportedEndpoint
from emails.api import attachments, emails

NO_METRICS = "There are no metrics by path here. `GET /metrics` has them for Prometheus."
NO_SHARING = "Emails have no public links here. `GET /emails/{id}` has the whole email."

urlpatterns = [
    path("emails", emails.EmailsView.as_view()),
    path("emails/batch", emails.EmailBatchView.as_view()),
    path("emails/metrics", UnsupportedEndpoint.as_view(because=NO_METRICS)),
    path("emails/<str:email_id>", emails.EmailView.as_view()),
    path("emails/<str:email_id>/cancel", emails.EmailCancelView.as_view()),
    path("emails/<str:email_id>/events", emails.EmailEventsView.as_view()),
    path("emails/<str:email_id>/attachments", attachments.AttachmentsView.as_view()),
    path(
        "emails/<str:email_id>/attachments/<str:attachment_id>",
        attachments.AttachmentView.as_view(),
    ),
    path("emails/<str:email_id>/trace", emails.EmailTraceView.as_view()),
    path("emails/<str:email_id>/share", UnsupportedEndpoint.as_view(because=NO_SHARING)),
]
