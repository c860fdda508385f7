from django.urls import path

from emails import api, api_attachments

urlpatterns = [
    path("emails", api.EmailsView.as_view()),
    path("emails/batch", api.EmailBatchView.as_view()),
    path("emails/<str:email_id>", api.EmailView.as_view()),
    path("emails/<str:email_id>/cancel", api.EmailCancelView.as_view()),
    path("emails/<str:email_id>/events", api.EmailEventsView.as_view()),
    path("emails/<str:email_id>/attachments", api_attachments.AttachmentsView.as_view()),
    path(
        "emails/<str:email_id>/attachments/<str:attachment_id>",
        api_attachments.AttachmentView.as_view(),
    ),
    path("emails/<str:email_id>/trace", api.EmailTraceView.as_view()),
]
