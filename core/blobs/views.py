"""`GET /blobs/<token>`: download a blob from the folder by its signed link."""

from django.http import FileResponse, HttpRequest, HttpResponseBase

from core.api.dialects import Problem
from core.api.error_handlers import not_found, refuse
from core.api.http import answering
from core.blobs import blobs, links
from core.blobs.folder import FolderStore
from core.security.tokens import BadToken


@answering("GET", "HEAD")
def download(request: HttpRequest, token: str) -> HttpResponseBase:
    """Always an attachment, so that a customer's file never runs as a page on our origin."""
    store = blobs()
    try:
        link = links.verify(token)
        if not isinstance(store, FolderStore):
            return not_found(request)
        file = store.path(link.key).open("rb")
    except (BadToken, FileNotFoundError):
        return not_found(request)
    except links.LinkExpired:
        message = "This link has expired. Request a new one from the API."
        return refuse(request, Problem(410, "link_expired", message))
    response = FileResponse(
        file, as_attachment=True, filename=link.filename, content_type=link.content_type
    )
    response["Cache-Control"] = "private, no-store"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    return response
