"""Messages for the tests of the MIME reader."""

from receiving.mime.message import read

CRLF = b"\r\n"


def message(body="", *, headers="", content_type=""):
    """The octets of a message with CRLF line ends; texts are UTF-8."""
    head = f"From: Ann <ann@example.org>\nSubject: Hello\n{headers}"
    if content_type:
        head += f"Content-Type: {content_type}\n"
    return lines(head) + CRLF + (lines(body) if isinstance(body, str) else body)


def lines(text):
    return text.replace("\n", "\r\n").encode()


def part(body, content_type="text/plain", **fields):
    """A part of a multipart, with the fields by their names with underscores."""
    named = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in fields.items())
    return f"Content-Type: {content_type}\n{named}\n{body}"


def multipart(subtype, *parts, boundary="b1", preamble="", epilogue=""):
    """The octets of a multipart message."""
    return message(
        preamble + inside(*parts, boundary=boundary) + epilogue,
        content_type=f'multipart/{subtype}; boundary="{boundary}"',
    )


def inside(*parts, boundary):
    return "".join(f"--{boundary}\n{each}\n" for each in parts) + f"--{boundary}--\n"


def nested(subtype, *parts, boundary="b2"):
    """A multipart as a part of another."""
    return part(inside(*parts, boundary=boundary), f'multipart/{subtype}; boundary="{boundary}"')


def attachments(octets):
    return [(each.filename, b"".join(each.chunks())) for each in read(octets).attachments]
