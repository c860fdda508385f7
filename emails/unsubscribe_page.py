"""`/t/u/...`: the unsubscribe page, and one-click unsubscribe of mail clients (RFC 8058)."""

import logging

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from core.api.http import answering
from emails.facts.unsubscribe import WorkspaceGone, unsubscribe
from tracking.tokens import BadToken, read_unsubscribe

logger = logging.getLogger(__name__)

_HEADERS = {
    "Cache-Control": "no-store, private",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


# No CSRF check: the token in the URL is the authorization, and there is no session to misuse.
@answering("GET", "HEAD", "POST")
def unsubscribe_view(request: HttpRequest, token: str) -> HttpResponse:
    """Only a POST unsubscribes, since scanners follow links; 200 means that it is committed."""
    try:
        unsubscribe_request = read_unsubscribe(token)
        if request.method != "POST":
            return _page(200, "confirm", unsubscribe_request.address)
        unsubscribe(unsubscribe_request)
    except (BadToken, WorkspaceGone):
        return _page(404, "not_found")
    except Error:
        logger.exception("Could not record an unsubscribe request")
        response = _page(503, "retry")
        response["Retry-After"] = "60"
        return response
    return _page(200, "done", unsubscribe_request.address)


def _page(status: int, step: str, address: str = "") -> HttpResponse:
    text = render_to_string("emails/unsubscribe.html", {"step": step, "address": address})
    return HttpResponse(text, status=status, headers=_HEADERS)
