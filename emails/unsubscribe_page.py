"""`/t/u/...`: the page where people unsubscribe, and the one click of mail programs (RFC 8058)."""

import logging

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from core.api.http import answering
from emails.facts.unsubscribe import NobodyToTell, unsubscribe
from tracking.tokens import BadToken, read_unsubscribe

logger = logging.getLogger(__name__)

_HEADERS = {
    "Cache-Control": "no-store, private",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


# Whoever holds the link may: there is no session that another site could misuse.
@answering("GET", "HEAD", "POST")
def unsubscribing(request: HttpRequest, token: str) -> HttpResponse:
    """Only a POST unsubscribes, since scanners follow links; 200 when that is durable."""
    try:
        said = read_unsubscribe(token)
        if request.method != "POST":
            return _page(200, "ask", said.address)
        unsubscribe(said)
    except (BadToken, NobodyToTell):
        return _page(404, "unknown")
    except Error:
        logger.exception("An unsubscribe request could not be kept")
        response = _page(503, "later")
        response["Retry-After"] = "60"
        return response
    return _page(200, "done", said.address)


def _page(status: int, step: str, address: str = "") -> HttpResponse:
    text = render_to_string("emails/unsubscribe.html", {"step": step, "address": address})
    return HttpResponse(text, status=status, headers=_HEADERS)
