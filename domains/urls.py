from django.urls import path

from accounts.absent import NotOffered
from domains import api

NO_CLAIMS = "Domains cannot be claimed here: each is its workspace's until that removes it."

urlpatterns = [
    path("domains", api.DomainsView.as_view()),
    path("domains/claim", NotOffered.as_view(because=NO_CLAIMS)),
    path("domains/<str:domain_id>", api.DomainView.as_view()),
    path("domains/<str:domain_id>/verify", api.VerifyDomainView.as_view()),
    path("domains/<str:domain_id>/claim", NotOffered.as_view(because=NO_CLAIMS)),
    path("domains/<str:domain_id>/claim/verify", NotOffered.as_view(because=NO_CLAIMS)),
]
