"""Quotes that are known by the text alone: attributions, headers and quote marks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from receiving.reply_text.attributions import Attributions, is_attribution
from receiving.reply_text.headers import (
    HeaderBlocks,
    is_forwarded_message,
    is_original_message,
    is_ruler,
)
from receiving.reply_text.lines import Lines
from receiving.reply_text.result import ReplyMethod
from receiving.reply_text.subjects import SubjectKind

_WRAPPED_AT = 66  # characters from which a line may have been wrapped on its way
_REPL = ">>> "  # Python's prompt


class ForwardedMessageError(Exception):
    """The first thing that isn't the sender's own text says that the message is a forward."""


@dataclass(slots=True)
class TextQuotes:
    """`quoted` has what stronger evidence found, and gets what is found here.

    `is_reply`: the message may be one; in others less is taken for a quote.
    """

    lines: Lines
    quoted: list[bool]
    subject: SubjectKind
    is_reply: bool
    methods: list[ReplyMethod] = field(default_factory=list)
    _attributions: Attributions = field(init=False)
    _headers: HeaderBlocks = field(init=False)
    _fenced: list[bool] = field(init=False)
    _last_known: int = field(init=False)

    def __post_init__(self) -> None:
        self._attributions = Attributions(self.lines, needs_address=not self.is_reply)
        is_other = self.subject is SubjectKind.OTHER
        self._headers = HeaderBlocks(self.lines, needs_date=is_other and not self.is_reply)
        self._fenced = _fenced(self.lines)
        known = (n for n in range(len(self.quoted) - 1, -1, -1) if self.quoted[n])
        self._last_known = next(known, -1)

    def find(self) -> None:
        """Raises ForwardedMessageError."""
        number, is_first = 0, True
        while number < len(self.lines):
            if self.quoted[number]:
                if is_first and self.lines.bare[number]:
                    self._check_forward(number)
                    is_first = False
                number += 1
                continue
            end = self._quote_at(number, is_first=is_first)
            is_first = is_first and end is None
            number = end or number + 1

    def _check_forward(self, number: int) -> None:
        """Clients put forwards and quotes into the same elements."""
        while number < len(self.lines) - 1 and is_ruler(self.lines.bare[number]):
            number = self.lines.next_filled(number + 1)
        if number == len(self.lines):
            return
        line = self.lines.bare[number]
        if is_forwarded_message(line):
            raise ForwardedMessageError
        is_original = is_original_message(line) or self._headers.end_at(number) is not None
        if is_original and self.subject is SubjectKind.FORWARD:
            raise ForwardedMessageError

    def _quote_at(self, number: int, *, is_first: bool) -> int | None:
        """The end of what is known to be quoted from here on."""
        line = self.lines.bare[number]
        if not line or self._fenced[number]:
            return None
        if self.lines.is_marked[number]:
            if self._attributions.is_groupwise(number):
                return self._below(number, number + 1, ReplyMethod.ATTRIBUTION)
            return self._marked_run(number)
        if is_first and is_forwarded_message(line):
            raise ForwardedMessageError
        if is_original_message(line):
            return self._original_message(number, is_first=is_first)
        if end := self._headers.end_at(number):
            return self._below(number, end, ReplyMethod.HEADERS, is_first=is_first)
        return self._attribution(number)

    def _original_message(self, number: int, *, is_first: bool) -> int:
        """An attribution may follow, then the quote has marks of its own."""
        for below in self.lines.filled_after(number + 1, 3):
            if self._attribution(below):
                return self._mark(number, below + 1, ReplyMethod.HEADERS)
        return self._below(number, number + 1, ReplyMethod.HEADERS, is_first=is_first)

    def _below(self, start: int, end: int, method: ReplyMethod, *, is_first: bool = False) -> int:
        """Cuts all below, but not what stands between lines that are known to be quoted."""
        if is_first and self.subject is SubjectKind.FORWARD and method is ReplyMethod.HEADERS:
            raise ForwardedMessageError
        if self._last_known < end:
            return self._mark(start, len(self.lines), method)
        self._mark(start, end, method)
        if method is ReplyMethod.HEADERS:  # nobody writes below the quotes of such clients
            self._mark(self._last_known, len(self.lines), method)
        return end

    def _attribution(self, number: int) -> int | None:
        if not self._attributions.may_end_at(number):
            return None
        following = self.lines.next_filled(number + 1)
        is_above_quote = following < len(self.lines) and self._is_quoted_or_marked(following)
        found = self._attributions.ending_at(number, is_above_quote=is_above_quote)
        if found is None:
            return None
        if not is_above_quote:
            return self._below(found.start, found.end, ReplyMethod.ATTRIBUTION)
        end = following if self.quoted[following] else self._run_end(following)
        return self._mark(found.start, end, ReplyMethod.ATTRIBUTION)

    def _is_quoted_or_marked(self, number: int) -> bool:
        is_marked = self.lines.is_marked[number] and not self._fenced[number]
        return is_marked or self.quoted[number]

    def _marked_run(self, start: int) -> int:
        """Adjacent lines with quote marks, if they are no code and, in other mail, no Markdown."""
        end = self._run_end(start)
        run = [self.lines.bare[number] for number in range(start, end)]
        if not _is_code(run) and self._is_quote(run):
            self._mark(start, end, ReplyMethod.QUOTE_MARKS)
        return end

    def _is_quote(self, run: Sequence[str]) -> bool:
        return self.is_reply or any(is_attribution(line.lstrip("> ")) for line in run[:4])

    def _run_end(self, start: int) -> int:
        """With the ends of lines that a server wrapped after they were marked."""
        lines, end = self.lines, start + 1
        while end < len(lines):
            is_wrapped = (
                end + 1 < len(lines)
                and lines.is_marked[end - 1]
                and lines.is_marked[end + 1]
                and len(lines.bare[end - 1]) >= _WRAPPED_AT
                and lines.bare[end][:1].islower()
            )
            if not lines.is_marked[end] and not is_wrapped:
                break
            end += 1
        return end

    def _mark(self, start: int, end: int, method: ReplyMethod) -> int:
        self.quoted[start:end] = [True] * (end - start)
        self.methods.append(method)
        return end


def _is_code(run: Sequence[str]) -> bool:
    """A Python session, or a line that mbox files quoted (">From ")."""
    if all(line.startswith(_REPL) or line == ">>>" for line in run):
        return True
    return all(line.startswith(">From ") for line in run)


def _fenced(lines: Lines) -> list[bool]:
    """Which lines are in a Markdown code block that ends."""
    fences = [number for number, line in enumerate(lines.bare) if line.startswith("```")]
    fenced = [False] * len(lines)
    for start, end in zip(fences[::2], fences[1::2], strict=False):
        fenced[start : end + 1] = [True] * (end + 1 - start)
    return fenced
