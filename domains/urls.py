from django.urls import path

from domains import api

urlpatterns = [
    path("domains", api.DomainsView.as_view()),
    path("domains/<str:domain_id>", api.DomainView.as_view()),
    path("domains/<str:domain_id>/verify", api.VerifyDomainView.as_view()),
]
