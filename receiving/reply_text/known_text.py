"""Finds lines of a message in a text that is known already."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from receiving.reply_text.lines import Lines, words_of

_ANCHOR = 12  # letters by which a line is looked up anywhere
_NEAR = 1_000  # letters that a line may skip
_NEAR_SHORT = 64  # and a line shorter than an anchor
_MIN_RUN = 20  # letters of adjacent lines
_MIN_SINGLE_RUN = 40  # letters that are no coincidence
MAX_KNOWN = 128 * 1024  # characters


class KnownText:
    """The letters of texts, each with a label (`words_of`); lines are found by their letters.

    A lookup compares a line with at most three places, so that many lines that nearly match take
    linear time.
    """

    def __init__(self, texts: Iterable[tuple[int, str]]) -> None:
        words: list[str] = []
        counts: list[int] = []  # of words before each label
        self._labels: list[int] = []
        for label, text in texts:
            self._labels.append(label)
            counts.append(len(words))
            words += words_of(text)
        self.letters = "".join(words)
        self._starts = [0, *accumulate(map(len, words))]
        self._label_starts = [self._starts[count] for count in counts]

    @cached_property
    def _anchors(self) -> dict[str, int]:
        """The first place of each."""
        letters = self.letters
        return {letters[start : start + _ANCHOR]: start for start in reversed(self._starts)}

    def label_at(self, position: int) -> int:
        return self._labels[bisect_right(self._label_starts, position) - 1]

    def follows(self, key: str, position: int) -> bool:
        return self.letters.startswith(key, position)

    def near(self, key: str, position: int, distance: int = _NEAR) -> int:
        return self.letters.find(key, position, position + len(key) + distance)

    def anywhere(self, key: str) -> int:
        start = self._anchors.get(key[:_ANCHOR], -1) if len(key) >= _ANCHOR else -1
        return start if start >= 0 and self.letters.startswith(key, start) else -1


def labels_by(lines: Lines, known: KnownText, *, is_part: bool) -> list[int] | None:
    """The label of each line by a text that has the same content in the same order.

    Lines that aren't found have the label of those around them, or 0 between two labels. None if
    less than half of the lines' letters are found: the content is another one. `is_part` says
    that the text is cut.
    """
    total = sum(map(len, lines.letters))
    needed = (min(total, len(known.letters)) if is_part else total) / 2
    if not needed or len(known.letters) < needed:
        return None
    found: list[int | None] = []
    position = matched = missed = 0
    for key in lines.letters:
        at = _next(known, key, position, missed) if key else -1
        if at >= 0:
            found.append(known.label_at(at))
            position, missed = at + len(key), 0
            matched += len(key)
        else:
            found.append(None)
            missed += len(key)
    return _filled(lines, found) if matched >= needed else None


def _next(known: KnownText, key: str, position: int, missed: int) -> int:
    if known.follows(key, position):
        return position
    is_long = len(key) >= _ANCHOR
    at = known.near(key, position, _NEAR if is_long else min(_NEAR_SHORT + missed, _NEAR))
    if at < 0 and key[0].isdigit() and (item := key.lstrip("0123456789")):
        at = known.near(item, position, 0)  # the number is of the list
    if at < 0 and is_long:
        at = known.anywhere(key)
    return at if at >= position else -1


def _filled(lines: Lines, found: list[int | None]) -> list[int]:
    labels: list[int] = []
    before = position = 0
    while position < len(found):
        label = found[position]
        if label is not None:
            labels.append(label)
            before = label
            position += 1
            continue
        end = position
        while end < len(found) and found[end] is None:
            end += 1
        after = found[end] if end < len(found) else before
        marks = lines.is_marked[position:end]
        labels += [before if before == after else int(is_marked) for is_marked in marks]
        position = end
    return labels


def quoted_from(lines: Lines, parent: KnownText) -> list[bool]:
    """Which lines repeat the text of the parent.

    Runs of 20 letters do if together they are half of the parent; else 40 are needed, for an
    address or the name of a product is in both texts, too. All of the lines repeat it only if
    some have quote marks: who sends a text again quotes nothing.
    """
    runs = list(_runs(lines, parent))
    is_whole = sum(run.letters for run in runs) * 2 >= len(parent.letters)
    quoted = [False] * len(lines)
    for run in runs:
        if is_whole or run.letters >= _MIN_SINGLE_RUN:
            for number in run.numbers:
                quoted[number] = True
    return quoted if any(lines.is_marked) or not _is_all(lines, quoted) else [False] * len(lines)


class _Run(NamedTuple):
    numbers: list[int]
    letters: int


def _runs(lines: Lines, parent: KnownText) -> Iterator[_Run]:
    """Adjacent lines that are adjacent in the parent: 20 letters, or its end after others."""
    numbers: list[int] = []
    position = continued_at = 0
    for number, key in enumerate([*lines.letters, ""]):
        if not key and number < len(lines):
            continue
        at = _in_run(parent, key, position) if numbers and key else -1
        if at < 0:
            letters = sum(len(lines.letters[number]) for number in numbers)
            is_end = continued_at and position == len(parent.letters)
            if numbers and (letters >= _MIN_RUN or is_end):
                yield _Run(numbers, letters)
                continued_at = position
            numbers = []
            at = _start_of_run(parent, key, continued_at) if key else -1
        if at >= 0:
            numbers.append(number)
            position = at + len(key)


def _in_run(parent: KnownText, key: str, position: int) -> int:
    if parent.follows(key, position):
        return position
    return parent.near(key, position) if len(key) >= _ANCHOR else -1


def _start_of_run(parent: KnownText, key: str, position: int) -> int:
    return position if parent.follows(key, position) else parent.anywhere(key)


def _is_all(lines: Lines, quoted: list[bool]) -> bool:
    return all(is_quoted or not line for line, is_quoted in zip(lines.bare, quoted, strict=True))
