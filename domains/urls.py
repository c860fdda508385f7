from django.urls import path

from accounts.unsupported import UnsupportedEndpoint
from domains.api import domains

NO_CLAIMS = (
    "Domains cannot be claimed here: a domain belongs to its workspace until that workspace"
    " removes it."
)

urlpatterns = [
    path("domains", domains.DomainsView.as_view()),
    path("domains/claim", UnsupportedEndpoint.as_view(because=NO_CLAIMS)),
    path("domains/<str:domain_id>", domains.DomainView.as_view()),
    path("domains/<str:domain_id>/verify", domains.VerifyDomainView.as_view()),
    path("domains/<str:domain_id>/claim", UnsupportedEndpoint.as_view(because=NO_CLAIMS)),
    path("domains/<str:domain_id>/claim/verify", UnsupportedEndpoint.as_view(because=NO_CLAIMS)),
]
