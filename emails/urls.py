from django.urls import path

from emails import api

urlpatterns = [
    path("emails", api.EmailsView.as_view()),
    path("emails/batch", api.EmailBatchView.as_view()),
    path("emails/<str:email_id>", api.EmailView.as_view()),
    path("emails/<str:email_id>/cancel", api.EmailCancelView.as_view()),
    path("emails/<str:email_id>/events", api.EmailEventsView.as_view()),
]
