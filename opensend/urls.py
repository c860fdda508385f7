from csp.decorators import csp
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from core import health
from core.api.http import answering
from core.blobs.views import download
from emails.unsubscribe_page import unsubscribe_view
from ingest.api.ses import ses_events
from opensend.api_reference.document import openapi_document
from opensend.security_headers import DOCS_CSP

reading = answering("GET", "HEAD")
# Its script has a URL of its own, because the policy allows none inside the page.
docs = csp(DOCS_CSP)(reading(SpectacularSwaggerSplitView.as_view(url_name="schema")))
to_admin = reading(RedirectView.as_view(url="/admin/"))

# Patterns are tried in turn, so what is asked for most comes first.
api = [
    path("", include("ingest.urls")),
    path("", include("receiving.urls")),  # some of its paths look like an email's
    path("", include("emails.urls")),
    path("", include("accounts.urls")),
    path("", include("domains.urls")),
    path("", include("webhooks.urls")),
    path("", include("contacts.urls")),
]

admin.autodiscover()

urlpatterns = [
    path("", include(api)),
    path("", include("tracking.urls")),
    path("t/u/<str:token>", unsubscribe_view),
    path("", to_admin),
    path("admin", to_admin),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("blobs/<str:token>", download),
    path("openapi.json", reading(openapi_document), name="schema"),
    path("docs", docs, name="docs"),
    # Ahead of /api/webhooks/<id>: the address under which SNS may know us already.
    path("api/webhooks/ses", ses_events),
    path("api/", include(api)),
]
handler400 = "core.api.error_handlers.bad_request"
handler404 = "core.api.error_handlers.not_found"
handler500 = "core.api.error_handlers.server_error"
