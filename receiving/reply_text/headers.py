"""Headers that clients copy above a quote, and the lines that announce quotes and forwards."""

from dataclasses import dataclass, field

from receiving.reply_text.lines import Lines
from receiving.reply_text.words import (
    FORWARDED_MESSAGE,
    FULLWIDTH_COLON,
    HEADER_KINDS,
    ORIGINAL_MESSAGE,
)

_MAX_LINES = 12
_MAX_UNKNOWN = 3  # adjacent lines: long lists of recipients are wrapped
_MAX_WORD = 40  # characters
_RULERS = "_-=*\u2500\u2010\u2013\u2014"
_DASHES_BEFORE = tuple("-_=*\u2010\u2013\u2014")
_DASHES = "-_=*\u2010\u2013\u2014 "


@dataclass(slots=True)
class HeaderBlocks:
    """`needs_date`: nothing else says that the mail is a reply; web forms send headers, too."""

    lines: Lines
    needs_date: bool = False
    _kinds: list[str | None] = field(init=False)

    def __post_init__(self) -> None:
        self._kinds = [_header_kind(line) for line in self.lines.bare]

    def end_at(self, start: int) -> int | None:
        """The end of the block that starts here: a From-word and at least two companions.

        Without a subject, From has to have an address: a list of trains has From, To and Date.
        """
        if self._kinds[start] is None:
            return None
        kinds: set[str] = set()
        has_address, unknown, end = False, 0, start
        for number in self.lines.filled_after(start, _MAX_LINES):
            kind = self._kinds[number]
            if kind in kinds and kind != "other":
                break  # of the next block
            if kind:
                kinds.add(kind)
                has_address |= kind == "from" and "@" in self.lines.bare[number]
                end, unknown = number + 1, 0
                continue
            unknown += 1
            if unknown > _MAX_UNKNOWN or (len(kinds) > 2 and not self.lines.bare[number - 1]):
                break
        # No client quotes a Message-ID: it is the digest of a list, or a source.
        is_block = "from" in kinds and len(kinds) > 2 and "message-id" not in kinds
        is_block &= "date" in kinds or not self.needs_date
        return end if is_block and ("subject" in kinds or has_address) else None


def _header_kind(line: str) -> str | None:
    line = line[:_MAX_WORD]
    if ":" not in line and FULLWIDTH_COLON not in line:
        return None
    word = line.replace(FULLWIDTH_COLON, ":").partition(":")[0]
    return HEADER_KINDS.get(word.strip("*> ").casefold())


def is_original_message(line: str) -> bool:
    """ "-----Original Message-----"; the dashes are needed."""
    return line.startswith(_DASHES_BEFORE) and _announced(line) in ORIGINAL_MESSAGE


def is_forwarded_message(line: str) -> bool:
    has_mark = line.startswith(_DASHES_BEFORE) or line.endswith((":", FULLWIDTH_COLON))
    return has_mark and _announced(line) in FORWARDED_MESSAGE


def is_ruler(line: str) -> bool:
    return len(line) > 1 and line[0] in _RULERS and not line.strip(line[0])


def _announced(line: str) -> str:
    return line.strip(_DASHES).rstrip(f":{FULLWIDTH_COLON} ").casefold() if len(line) < 120 else ""
