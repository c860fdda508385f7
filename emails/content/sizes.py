"""Upper bounds for the encoded size of a message, computed without encoding it."""

MAX_MESSAGE = 40 * 1024 * 1024  # the limit of SES, in bytes on the wire
# Reserved for the header fields that the platform sets, and for those of each attachment.
HEADER_RESERVE = 48 * 1024
PART_HEADER_RESERVE = 2 * 1024
_LINE = 57  # bytes per base64 line of 76 characters


def base64_size(size: int) -> int:
    """In lines; a text uses quoted-printable instead only where that is shorter."""
    return -(-size // _LINE) * 2 + -(-size // 3) * 4


def field_size(value: str) -> int:
    """Upper bound: as encoded words (RFC 2047), folded."""
    return 2 * len(value.encode()) + 16


def text_size(text: str) -> int:
    octets = len(text) if text.isascii() else len(text.encode())
    return base64_size(octets + text.count("\n"))  # line breaks become CRLF
