"""Signed download links to blobs in a folder; each carries its expiry time."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.core import signing
from django.utils import timezone

_SALT = "core.blobs"


class LinkExpired(Exception):
    """The signature is valid, but the link has expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    key: str
    filename: str
    content_type: str
    expires_at: datetime


def sign(link: Link) -> str:
    """The URL of the link: `<BASE_URL>/blobs/<token>`."""
    payload = [link.key, link.filename, link.content_type, int(link.expires_at.timestamp())]
    return f"{settings.BASE_URL}/blobs/{signing.dumps(payload, salt=_SALT, compress=True)}"


def verify(token: str) -> Link:
    """The link in a token. Raises django.core.signing's BadSignature, or LinkExpired."""
    key, filename, content_type, expires_at = signing.loads(token, salt=_SALT)
    link = Link(
        key=key,
        filename=filename,
        content_type=content_type,
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )
    if link.expires_at <= timezone.now():
        raise LinkExpired
    return link
