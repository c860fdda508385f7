"""The text as lines: a bounded part is looked at, the rest goes with the last line of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

MAX_CHARACTERS = 256 * 1024
MAX_LINES = 4_000
MAX_LINE = 1_000  # characters of a line that are compared with anything

# Zero-width, bidirectional and other format characters: they stand before words in the mail of
# some clients, and between them in that of those who hide something.
_INVISIBLE = re.compile("[\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]++")
_BLANKS = str.maketrans(dict.fromkeys("\t\f\v\x85\xa0\u2007\u202f\u3000", " "))
_WORDS = re.compile(r"[^\W_]++")
_SHORT = 200  # characters, for which a table of them costs more than it saves
_URLS = re.compile(r"(?:https?+://|mailto:)[^\s<>]*+")


@dataclass
class Lines:
    """`raw` as they were sent; `bare` without outer blanks and invisible characters.

    `is_marked` says whether a line starts with the quote mark ">" (RFC 3676, section 4.5).
    `rest` is what follows the last line, with its line break.
    """

    raw: list[str]
    rest: str
    bare: list[str] = field(init=False)
    is_marked: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        text = _INVISIBLE.sub("", "\n".join(line[:MAX_LINE] for line in self.raw))
        self.bare = [line.strip() for line in text.translate(_BLANKS).split("\n")]
        self.is_marked = [line.startswith(">") for line in self.bare]

    @cached_property
    def letters(self) -> list[str]:
        """Of each line, see `words_of`."""
        text = "\n".join(self.raw)[:MAX_CHARACTERS]
        lines = _spaced(text, keep="\n").replace(" ", "").split("\n")
        return lines + [""] * (len(self.raw) - len(lines))

    def __len__(self) -> int:
        return len(self.raw)

    def next_filled(self, position: int) -> int:
        """The first line from `position` on that isn't blank; their number if there is none."""
        while position < len(self.raw) and not self.bare[position]:
            position += 1
        return position

    def filled_after(self, position: int, count: int) -> Iterator[int]:
        """Up to `count` lines from `position` on that aren't blank."""
        for _ in range(count):
            position = self.next_filled(position)
            if position >= len(self.raw):
                break
            yield position
            position += 1


def read_lines(text: str) -> Lines:
    head = text[:MAX_CHARACTERS]
    if len(head) < len(text):
        # Ends at a line break. Without any, all of it is one line.
        head = head[: head.rfind("\n")] if "\n" in head else text
    lines = head.replace("\r\n", "\n").replace("\r", "\n").split("\n", MAX_LINES)
    rest = text[len(head) :]
    if len(lines) > MAX_LINES:
        rest = f"\n{lines.pop()}{rest}"
    return Lines(lines, rest)


def words_of(text: str) -> list[str]:
    """Letters and digits in lower case, without URLs.

    So quote marks, wrapping, list marks, emphasis and the targets of links make no difference.
    """
    if len(text) < _SHORT:
        return _WORDS.findall(_URLS.sub(" ", text.casefold()))
    return _spaced(text).split()


def _spaced(text: str, keep: str = "") -> str:
    """Blanks for all but letters and digits. `str.translate` is fast where all is ASCII."""
    text = text.casefold()
    if "://" in text or "mailto:" in text:
        text = _URLS.sub(" ", text)
    return text.translate({ord(sign): " " for sign in set(text) if not _is_kept(sign, keep)})


def _is_kept(sign: str, keep: str) -> bool:
    return sign.isalnum() or sign == keep
