"""What a part says of its content, and the content itself."""

import re
from collections.abc import Iterator

from receiving.mime import transfer_encodings
from receiving.mime.charsets import decode
from receiving.mime.encoded_words import decode_words
from receiving.mime.header_fields import Octets
from receiving.mime.parameters import Parameterised, parse
from receiving.mime.structure import Part

_COMMENT = re.compile(r"\([^()]*+\)")


def disposition(part: Part) -> Parameterised:
    """`attachment`, `inline`, or "" with its parameters (RFC 2183). Any other value counts as
    `attachment` (section 2.8)."""
    found = parse(part.value("content-disposition"))
    if found.value in ("", "inline", "attachment"):
        return found
    return Parameterised("attachment", found.parameters)


def filename(part: Part) -> str:
    """The name as it was sent, or ""."""
    names = disposition(part).parameters, part.content_type.parameters
    return next((each for each in (names[0].get("filename"), names[1].get("name")) if each), "")


def content_id(part: Part) -> str:
    """The Content-ID without angle brackets, or ""."""
    return decode_words(part.value("content-id")).strip().removeprefix("<").removesuffix(">")


def encoding(part: Part) -> str:
    """The lower-case Content-Transfer-Encoding, or ""."""
    value = _COMMENT.sub("", part.value("content-transfer-encoding")[:200])
    return value.partition(";")[0].strip(" \t\"'").lower()


def chunks(octets: Octets, part: Part) -> Iterator[bytes]:
    """The decoded content of a part that is no multipart."""
    return transfer_encodings.decoded(octets, part.start, part.end, encoding(part))


def text(octets: Octets, part: Part, *, limit: int) -> tuple[str, bool]:
    """The decoded text with LF line ends, and whether `limit` octets were not enough for it."""
    pieces: list[bytes] = []
    size = 0
    for chunk in chunks(octets, part):
        pieces.append(chunk)
        size += len(chunk)
        if size > limit:
            break
    whole = decode(b"".join(pieces)[:limit], part.content_type.parameters.get("charset", ""))
    return whole.replace("\r\n", "\n").replace("\r", "\n"), size > limit
