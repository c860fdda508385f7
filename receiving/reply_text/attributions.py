"""Lines that name the author of the quote below: "On Mon, Feb 3, 2025, Anna <a@b.c> wrote:"."""

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from receiving.reply_text.lines import Lines
from receiving.reply_text.words import (
    ATTRIBUTION_STARTS,
    FULLWIDTH_COLON,
    WRITER_PARTS,
    WRITER_WORDS,
)

_MAX_WRAPPED = 4  # lines
_MAX_CHARACTERS = 400
_WORDS = re.compile(r"\w++")
_FIRST_WORD = re.compile(r"[^\W\d_]++")
_VERBS = rf"(?<!\w)(?:{'|'.join(sorted(WRITER_WORDS))})|{'|'.join(WRITER_PARTS)}"
_VERB_AND_COLON = re.compile(rf"(?:{_VERBS})[ ]?[:{FULLWIDTH_COLON}]")
_TIME_PATTERN = re.compile(r"(?<![\d.,])\d{1,2}[:.h時时]\d{2}(?![\d.])")
_DATE_PATTERN = re.compile(r"(?<!\d)(?:(?:19|20)\d\d(?!\d)|\d{1,2}[./-]\d{1,2}[./-]\d{2,4})")
_ENDS: Final = (":", FULLWIDTH_COLON, "---")

# Bits of what a line has; those of wrapped lines are combined.
_VERB, _TIME, _DATE, _ADDRESS = 1, 2, 4, 8
_FACTS = _TIME | _DATE | _ADDRESS


class Attribution(NamedTuple):
    """Its lines."""

    start: int
    end: int  # after the last one


def is_attribution(line: str) -> bool:
    """Whether the single line is one beyond doubt."""
    signs = _signs(line)
    return line.endswith(_ENDS) and bool(signs & _VERB) and _facts(signs) > 1


@dataclass(slots=True)
class Attributions:
    """`needs_address`: nothing else says that the mail is a reply; prose has verbs and dates."""

    lines: Lines
    needs_address: bool
    _known: dict[int, int] = field(default_factory=dict)

    def may_end_at(self, number: int) -> bool:
        line = self.lines.bare[number]
        return line.endswith(_ENDS) or "@" in line

    def ending_at(self, number: int, *, is_above_quote: bool) -> Attribution | None:
        """The attribution whose last line this is: a verb and two of time, date and address.

        Less is enough above a quote that is known by other signs.
        """
        last = self.lines.bare[number]
        if not last.endswith(_ENDS):
            return self._with_text_behind(number)
        signs = self._signs_of(number)
        if not signs & (_VERB | _ADDRESS):
            return None  # the last line ends with a verb or a name
        top = self._top(number)
        for start in range(number, top - 1, -1):
            signs |= self._signs_of(start)
            if _facts(signs) > 1 and self._is_strong(signs, self.lines.bare[start], last):
                return Attribution(self._first_line(start, top), number + 1)
        # "Quoting Anna <a@b.c>:" has an address instead of a verb.
        return Attribution(self._first_line(number, top), number + 1) if is_above_quote else None

    def _top(self, number: int) -> int:
        """The first of the adjacent lines over which it may be wrapped."""
        top = number
        while top and number - top < _MAX_WRAPPED - 1 and self.lines.bare[top - 1]:
            if self.lines.is_marked[top - 1]:
                break
            top -= 1
        return top

    def is_groupwise(self, number: int) -> bool:
        """Whether it is ">>> Anna <a@b.c> 2/3/2025 10:12 AM >>>": what follows has no marks."""
        line = self.lines.bare[number]
        is_framed = line.startswith(">>> ") and line.endswith(" >>>")
        return is_framed and _facts(self._signs_of(number)) > 1

    def _signs_of(self, number: int) -> int:
        signs = self._known.get(number)
        if signs is None:
            signs = self._known[number] = _signs(self.lines.bare[number])
        return signs

    def _is_strong(self, signs: int, first: str, last: str) -> bool:
        if not signs & _VERB:
            # Some languages have no verb: "2025年2月3日(月) 10:12 Anna <a@b.c>:".
            is_name = last.endswith((">:", f">{FULLWIDTH_COLON}"))
            return _facts(signs) == 3 and is_name and _starts(first)
        return not self.needs_address or bool(signs & _ADDRESS)

    def _first_line(self, start: int, top: int) -> int:
        """Where it starts, if the lines below are enough to know it."""
        if _starts(self.lines.bare[start]):
            return start
        for first in range(start - 1, top - 1, -1):
            if self._signs_of(first) & _DATE and _starts(self.lines.bare[first]):
                return first
        return start

    def _with_text_behind(self, number: int) -> Attribution | None:
        """Some clients write the quote into the same line, which logs look like, too."""
        line = self.lines.bare[number][:_MAX_CHARACTERS]
        if ">" not in line or ":" not in line or _facts(self._signs_of(number)) < 3:
            return None
        if _starts(line) and _VERB_AND_COLON.search(line.casefold()):
            return Attribution(number, number + 1)
        return None


def _signs(line: str) -> int:
    line = line[:_MAX_CHARACTERS].casefold()
    has_verb = not WRITER_WORDS.isdisjoint(_WORDS.findall(line)) or any(
        part in line for part in WRITER_PARTS
    )
    return (
        has_verb * _VERB
        | bool(_TIME_PATTERN.search(line)) * _TIME
        | bool(_DATE_PATTERN.search(line)) * _DATE
        | ("@" in line) * _ADDRESS
    )


def _facts(signs: int) -> int:
    return (signs & _FACTS).bit_count()


def _starts(line: str) -> bool:
    """With a preposition, a weekday or a date."""
    line = line[:80].casefold().lstrip("- ")
    if not line or line[0].isdigit():
        return bool(line)
    first = _FIRST_WORD.match(line)
    if first is None:
        return False
    return first[0] in ATTRIBUTION_STARTS or len(first[0]) < 4 or bool(_DATE_PATTERN.search(line))
