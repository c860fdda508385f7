"""Signed download links to blobs in a folder; each carries its expiry time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct

from django.conf import settings
from django.utils import timezone

from core.security.tokens import Purpose

_PURPOSE = Purpose("blob")
# The expiry time in seconds since 1970, and how many bytes the key and the filename have. They
# follow in UTF-8, and then the content type.
_HEAD = Struct("!QHH")


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
    key, filename = link.key.encode(), link.filename.encode()
    head = _HEAD.pack(int(link.expires_at.timestamp()), len(key), len(filename))
    token = _PURPOSE.sign(head + key + filename + link.content_type.encode())
    return f"{settings.BASE_URL}/blobs/{token}"


def verify(token: str) -> Link:
    """The link in a token. Raises core.security.tokens.BadToken, or LinkExpired."""
    payload = _PURPOSE.read(token)
    expires_at, key_length, filename_length = _HEAD.unpack_from(payload)
    text = payload[_HEAD.size :]
    link = Link(
        key=text[:key_length].decode(),
        filename=text[key_length : key_length + filename_length].decode(),
        content_type=text[key_length + filename_length :].decode(),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )
    if link.expires_at <= timezone.now():
        raise LinkExpired
    return link
