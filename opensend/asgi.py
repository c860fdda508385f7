"""The ASGI application that a web process serves: Django behind `core.server`."""

from django.conf import settings

from core.server import Front, Lane
from ingest.sns.messages import MAX_BODY_BYTES as MAX_CALLBACK
from opensend.wsgi import application as django

MAX_PAGE_FORM = 64 * 1024
# Files of suppressions: ten million addresses.
MAX_IMPORT = 8 * settings.API_MAX_BODY_BYTES

# Nothing that one kind of request waits for holds up another kind.
API = Lane("api", size=settings.WEB_THREADS, max_body=settings.API_MAX_BODY_BYTES)
# SNS gives up after an hour of failures, so callbacks must get through when the API is overloaded.
CALLBACKS = Lane("callbacks", size=settings.WEB_THREADS, max_body=MAX_CALLBACK)
# Links and images in mail, which work without a database.
LINKS = Lane("links", size=2, max_body=MAX_PAGE_FORM)
# The pages that recipients see need one, and wait for it.
PAGES = Lane("pages", size=2, max_body=MAX_PAGE_FORM)
# They run for as long as the file is long.
FILES = Lane("files", size=2, max_body=MAX_IMPORT)
OPERATIONS = Lane("operations", size=2, max_body=0)

_FILES = ("/suppressions/import", "/suppressions/export")


def lane_of(method: str, path: str) -> Lane:
    """Every path of the API answers under /api/... too."""
    path = path.removeprefix("/api")
    if method == "POST" and path.startswith(("/events/", "/webhooks/ses")):
        return CALLBACKS
    if path.startswith("/t/u/"):
        return PAGES
    if path.startswith("/t/"):
        return LINKS
    if path.startswith(_FILES):
        return FILES
    if path in ("/readyz", "/metrics"):
        return OPERATIONS
    return API


application = Front(django, lanes=lane_of, health={"status": "ok", "version": settings.VERSION})
