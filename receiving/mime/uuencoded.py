"""Files that old clients put into the text itself, between `begin` and `end` (POSIX uuencode)."""

import re
from typing import NamedTuple

from receiving.mime.transfer_encodings import uudecode_line

_BEGIN = re.compile(r"^begin [0-7]{3,4} (?P<name>[^\n]{1,255}+)\n", re.MULTILINE)
_LINES = re.compile(r"(?:[!-M][ -`]*+[ \t]*+\n)*+(?:[ `][ \t]*+\n)?end[ \t]*+(?:\n|\Z)")


class File(NamedTuple):
    filename: str
    octets: bytes


def extract(text: str) -> tuple[str, list[File]]:
    """The text without its uuencoded blocks, and their files."""
    files: list[File] = []
    kept: list[str] = []
    position = 0
    for begin in _BEGIN.finditer(text):
        lines = _LINES.match(text, begin.end()) if begin.start() >= position else None
        if lines is None:
            continue
        octets = b"".join(uudecode_line(line.encode()) for line in lines[0].split("\n"))
        files.append(File(begin["name"].strip(), octets))
        kept.append(text[position : begin.start()])
        position = lines.end()
    return "".join([*kept, text[position:]]), files
