"""How large a message becomes, from the lengths of what it is made of; nothing is encoded."""

MAX_MESSAGE = 40 * 1024 * 1024  # what SES takes, in bytes on the wire
# Of those, what is kept free for the header fields that nobody gave, and for each attachment's.
FIELDS = 48 * 1024
PART_FIELDS = 2 * 1024
_LINE = 57  # bytes that make a line of 76 characters of base64


def base64_size(size: int) -> int:
    """In lines, as files and texts are; texts that are shorter in another way are written so."""
    return -(-size // _LINE) * 2 + -(-size // 3) * 4


def field_size(value: str) -> int:
    """At most: in encoded words (RFC 2047), folded."""
    return 2 * len(value.encode()) + 16


def text_size(text: str) -> int:
    octets = len(text) if text.isascii() else len(text.encode())
    return base64_size(octets + text.count("\n"))  # lines end in CRLF
