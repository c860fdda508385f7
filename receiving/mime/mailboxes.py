"""Address lists in header fields (RFC 5322 section 3.4), as clients write them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from emails.content.addresses import written
from receiving.mime.encoded_words import decode_words

_TOKEN = re.compile(
    r"""
    (?P<quoted> "(?: [^"\\] | \\. )*+ (?P<end> "?+ ) )
    | < (?P<angle> (?: "(?: [^"\\] | \\. )*+" | [^<>"] )*+ ) >?+
    | (?P<special> [,;:(] )
    | (?P<text> (?: [^",;:(<\s] | \s )++ | .)
    """,
    re.DOTALL | re.VERBOSE,
)
_COMMENT = re.compile(r"(?P<text>(?:[^()\\]|\\.)*+)(?P<end>[()]|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BLANKS = re.compile(r"\s+")
_ROUTE = re.compile(r"@[^:]*+:")  # RFC 5322 section 4.4
_MAX_TEXT = 128 * 1024  # characters that are read
_MAX_LENGTH = 2_000  # characters of a name, and of an address
MAX_MAILBOXES = 2_000


class Mailbox(NamedTuple):
    """`address` as it was sent, or "" where there is only a name; `name` decoded, or ""."""

    name: str
    address: str

    def __str__(self) -> str:
        return written(self.name, self.address) if self.address else self.name


def parse(text: str) -> list[Mailbox]:
    """The mailboxes of an unfolded value, those in groups as well; at most 2,000.

    An address is only what is written as one: encoded words are decoded afterwards, and in names.
    """
    found: list[Mailbox] = []
    for mailbox, is_continued in _mailboxes(text[:_MAX_TEXT]):
        # `Doe, John <john@example.com>` without quotes is one mailbox.
        if found and not found[-1].address and mailbox.address and is_continued:
            name = f"{found.pop().name}, {mailbox.name}"
            mailbox = Mailbox(name[:_MAX_LENGTH], mailbox.address)
        if len(found) == MAX_MAILBOXES:
            break
        found.append(mailbox)
    return found


def _mailboxes(text: str) -> Iterator[tuple[Mailbox, bool]]:
    """Each mailbox, and whether it is a phrase and an address in angle brackets after a comma."""
    current = _Mailbox()
    separator = ""
    position = 0
    while token := _TOKEN.match(text, position):
        if token["quoted"] and not token["end"]:  # then this and the other quotes are none
            text = text[:position] + text[position:].replace('"', " ")
            continue
        position = token.end()
        match token["special"]:
            case "(":
                position = current.read_comment(text, position)
            case "," | ";" as special:
                if mailbox := current.finish():
                    yield mailbox, separator == "," and current.has_angle and bool(mailbox.name)
                current, separator = _Mailbox(), special
            case ":" if not current.has_angle and "@" not in current.address:
                current, separator = _Mailbox(), ":"  # the name of a group
            case _:
                current.read(token)
    if mailbox := current.finish():
        yield mailbox, separator == "," and current.has_angle and bool(mailbox.name)


class _Mailbox:
    def __init__(self) -> None:
        self.has_angle = False
        self.address = ""
        self._words: list[str] = []
        self._written: list[str] = []  # the same with their quotes: a local part may have them
        self._comment = ""

    def read(self, token: re.Match[str]) -> None:
        if token["angle"] is not None:
            self._read_angle(token["angle"])
        elif token["quoted"]:
            self._words.append(_ESCAPED.sub(r"\1", token["quoted"][1:-1]))
            self._written.append(token["quoted"])
        else:
            self._words.append(token[0])
            self._written.append(token[0])

    def _read_angle(self, angle: str) -> None:
        # `<a@example.com> <b@example.com>` is malformed; the last one is the address.
        self.has_angle = True
        self.address = _bare(_ROUTE.sub("", angle, count=1) if angle.startswith("@") else angle)

    def read_comment(self, text: str, position: int) -> int:
        """Reads a comment, which may contain others, and returns where it ends."""
        depth = 1
        pieces: list[str] = []
        while depth and (piece := _COMMENT.match(text, position)):
            position = piece.end()
            pieces.append(_ESCAPED.sub(r"\1", piece["text"]))
            depth += {"(": 1, ")": -1}.get(piece["end"], -depth)
            if depth and piece["end"]:
                pieces.append(piece["end"])
        self._comment = self._comment or "".join(pieces)
        return position

    def finish(self) -> Mailbox | None:
        name = "".join(self._words)
        if not self.has_angle and "@" in name:
            self.address = _bare("".join(self._written))
            name = ""
        name = _BLANKS.sub(" ", decode_words(name[: 4 * _MAX_LENGTH])).strip(" '")
        if not name and self.address:
            name = _BLANKS.sub(" ", decode_words(self._comment[: 4 * _MAX_LENGTH])).strip()
        if not name and not self.address:
            return None
        return Mailbox(name[:_MAX_LENGTH], self.address[:_MAX_LENGTH])


def _bare(address: str) -> str:
    return address if '"' in address else _BLANKS.sub("", address).removeprefix("mailto:")
