"""How large a message becomes, from the lengths of what it is made of; nothing is encoded."""

MAX_MESSAGE = 40 * 1024 * 1024  # what SES takes, in bytes on the wire
# Of those, what is kept free for header fields, of the message and of its parts.
FIELDS = 512 * 1024
_LINE = 57  # bytes that make a line of 76 characters of base64


def base64_size(size: int) -> int:
    """In lines, as files and texts are; texts that are shorter in another way are written so."""
    return -(-size // _LINE) * 2 + -(-size // 3) * 4


def text_size(text: str) -> int:
    octets = len(text) if text.isascii() else len(text.encode())
    return base64_size(octets + text.count("\n"))  # lines end in CRLF
