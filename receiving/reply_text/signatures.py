"""What clients and companies put below the words of a sender."""

from collections.abc import Iterable

from receiving.reply_text.lines import Lines
from receiving.reply_text.words import (
    DISCLAIMER_STARTS,
    DISCLAIMER_WORDS,
    FOOTER_FRAMES,
    FOOTER_PRODUCTS,
    FOOTER_STARTS,
    LIST_FOOTER_WORDS,
)

_MAX_SIGNATURE = 40  # lines below "-- " that aren't blank
_MAX_BARE_SIGNATURE = 8  # below "--", which may be a ruler
_MAX_BARE_LINE = 76  # characters
_MAX_FOOTER = 140
_MIN_DISCLAIMER = 60
_MAX_LIST_FOOTER = 6  # lines
_LIST_RULER = "_" * 20


def end_of_own_text(lines: Lines, start: int, end: int) -> int:
    """The end of what a sender wrote from `start` to `end`, without what was put below it."""
    whole, end = end, _signature_start(lines, start, end)
    while (last := _last_filled(lines, start, end)) is not None:
        if _is_footer(lines.bare[last]) or (lines.bare[last] == "--" and end < whole):
            end = last
            continue
        below = _list_footer_start(lines, start, last)
        if below is None:
            below = _disclaimer_start(lines, start, last)
        if below is None:
            break
        end = below
    return end


def _signature_start(lines: Lines, start: int, end: int) -> int:
    """At "-- " (RFC 3676, section 4.3), or at a "--" that lost its blank and is no ruler."""
    bare = [number for number in range(start, end) if lines.bare[number] == "--"]
    exact = [number for number in bare if lines.raw[number].rstrip("\r") == "-- "]
    if exact:
        below = _before(lines.filled_after(exact[0] + 1, _MAX_SIGNATURE + 1), end)
        return exact[0] if len(below) <= _MAX_SIGNATURE else end
    if len(bare) != 1:
        return end
    below = _before(lines.filled_after(bare[0] + 1, _MAX_BARE_SIGNATURE + 1), end)
    is_short = all(len(lines.bare[number]) <= _MAX_BARE_LINE for number in below)
    return bare[0] if 0 < len(below) <= _MAX_BARE_SIGNATURE and is_short else end


def _before(numbers: Iterable[int], end: int) -> list[int]:
    return [number for number in numbers if number < end]


def _last_filled(lines: Lines, start: int, end: int) -> int | None:
    return next((n for n in range(end - 1, start - 1, -1) if lines.bare[n]), None)


def _is_footer(line: str) -> bool:
    """ "Sent from my iPhone": without a full stop in it, after which prose would follow."""
    if len(line) > _MAX_FOOTER:
        return False
    line = line.casefold().strip("-_*<>[]( .")
    if any(line.startswith(first) and line.endswith(last) for first, last in FOOTER_FRAMES):
        return True
    return line.startswith(FOOTER_STARTS) and any(word in line for word in FOOTER_PRODUCTS)


def _list_footer_start(lines: Lines, start: int, last: int) -> int | None:
    """Of what Mailman appends: a ruler of underscores and some lines about the list."""
    for number in range(last, max(start, last - _MAX_LIST_FOOTER) - 1, -1):
        if lines.bare[number].startswith(_LIST_RULER):
            below = "".join(lines.bare[number + 1 : number + 2]).casefold()
            return number if any(word in below for word in LIST_FOOTER_WORDS) else None
    return None


def _disclaimer_start(lines: Lines, start: int, last: int) -> int | None:
    """Of the last paragraph, if another one is above it."""
    first = last
    while first > start and lines.bare[first - 1]:
        first -= 1
    if _last_filled(lines, start, first) is None:
        return None
    text = " ".join(lines.bare[first : last + 1])[:2000].casefold().lstrip("*-_ ")
    is_disclaimer = (
        len(text) >= _MIN_DISCLAIMER
        and text.startswith(DISCLAIMER_STARTS)
        and any(word in text for word in DISCLAIMER_WORDS)
    )
    return first if is_disclaimer else None
