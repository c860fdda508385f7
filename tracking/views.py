"""`/t/o/...` and `/t/c/...`: what mail asks of us when it is read.

The answer is in the token. The hit is left to a thread, so a link works while the database is
away, and as long as the key that it was signed with is kept.
"""

from binascii import a2b_base64

from django.http import HttpRequest, HttpResponse

from core.api.http import answering
from tracking.hit_writer import note
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
        said = read_open(token)
    except BadToken:
        return _not_ours()
    note(hit(request, said))
    return HttpResponse(_PIXEL, content_type="image/gif", headers=_HEADERS)


@answering("GET", "HEAD")
def clicked(request: HttpRequest, token: str) -> HttpResponse:
    """302 to where the link leads, and nowhere else: the target is signed."""
    try:
        said = read_click(token)
    except BadToken:
        return _not_ours()
    note(hit(request, said))
    if not said.target:
        return _plain(200, "This link leads nowhere. It is here for programs that follow them all.")
    return HttpResponse(status=302, headers={**_HEADERS, "Location": said.target})


def _not_ours() -> HttpResponse:
    return _plain(404, "This is not a link of ours, or a part of it is missing.")


def _plain(status: int, text: str) -> HttpResponse:
    kind = "text/plain; charset=utf-8"
    return HttpResponse(f"{text}\n", status=status, content_type=kind, headers=_HEADERS)
