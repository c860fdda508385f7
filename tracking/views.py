"""`/t/o/...` and `/t/c/...`: the open pixel and click redirects.

Responses come from the token alone and a thread writes the hit, so links work while the database
is unavailable. A link works as long as its key is in TRACKING_KEYS.
"""

from binascii import a2b_base64

from django.http import HttpRequest, HttpResponse

from core.api.http import answering
from tracking.hit_writer import enqueue
from tracking.hits import hit
from tracking.tokens import BadToken, read_click, read_open

_PIXEL = a2b_base64("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # transparent
_HEADERS = {
    "Cache-Control": "no-store, private",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


@answering("GET", "HEAD")
def opened(request: HttpRequest, token: str) -> HttpResponse:
    try:
        opened_email = read_open(token)
    except BadToken:
        return _invalid_link()
    enqueue(hit(request, opened_email))
    return HttpResponse(_PIXEL, content_type="image/gif", headers=_HEADERS)


@answering("GET", "HEAD")
def clicked(request: HttpRequest, token: str) -> HttpResponse:
    """302 to the link's target, which is signed, so this is no open redirect."""
    try:
        click = read_click(token)
    except BadToken:
        return _invalid_link()
    enqueue(hit(request, click))
    if not click.target:
        return _plain(200, "This link has no target. It detects programs that follow every link.")
    return HttpResponse(status=302, headers={**_HEADERS, "Location": click.target})


def _invalid_link() -> HttpResponse:
    return _plain(404, "This link is invalid or incomplete.")


def _plain(status: int, text: str) -> HttpResponse:
    kind = "text/plain; charset=utf-8"
    return HttpResponse(f"{text}\n", status=status, content_type=kind, headers=_HEADERS)
