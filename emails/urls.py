from django.urls import path

from accounts.absent import NotOffered
from emails import api, api_attachments

NO_METRICS = "There are no metrics by path here. `GET /metrics` has them for Prometheus."
NO_SHARING = "Emails have no public links here. `GET /emails/{id}` has the whole email."

urlpatterns = [
    path("emails", api.EmailsView.as_view()),
    path("emails/batch", api.EmailBatchView.as_view()),
    path("emails/metrics", NotOffered.as_view(because=NO_METRICS)),
    path("emails/<str:email_id>", api.EmailView.as_view()),
    path("emails/<str:email_id>/cancel", api.EmailCancelView.as_view()),
    path("emails/<str:email_id>/events", api.EmailEventsView.as_view()),
    path("emails/<str:email_id>/attachments", api_attachments.AttachmentsView.as_view()),
    path(
        "emails/<str:email_id>/attachments/<str:attachment_id>",
        api_attachments.AttachmentView.as_view(),
    ),
    path("emails/<str:email_id>/trace", api.EmailTraceView.as_view()),
    path("emails/<str:email_id>/share", NotOffered.as_view(because=NO_SHARING)),
]
