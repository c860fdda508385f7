"""Links to files of the folder: signed, and good until a time that is in them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.core import signing
from django.utils import timezone

_SALT = "core.blobs"


class LinkExpired(Exception):
    """It was a genuine link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    key: str
    filename: str
    content_type: str
    until: datetime


def signed(link: Link) -> str:
    said = [link.key, link.filename, link.content_type, int(link.until.timestamp())]
    return f"{settings.BASE_URL}/blobs/{signing.dumps(said, salt=_SALT, compress=True)}"


def opened(token: str) -> Link:
    """django.core.signing's BadSignature for what we didn't sign; LinkExpired."""
    key, filename, content_type, until = signing.loads(token, salt=_SALT)
    link = Link(
        key=key,
        filename=filename,
        content_type=content_type,
        until=datetime.fromtimestamp(until, UTC),
    )
    if link.until <= timezone.now():
        raise LinkExpired
    return link
