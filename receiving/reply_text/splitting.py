"""The order of evidence: the parent's text, the HTML, the text itself, then signatures."""

from itertools import groupby

from receiving.reply_text.headers import is_ruler
from receiving.reply_text.html_quotes import BELOW, MAX_CHARACTERS, OWN, QUOTE, SIGNATURE, pieces
from receiving.reply_text.known_text import MAX_KNOWN, KnownText, labels_by, quoted_from
from receiving.reply_text.lines import Lines, read_lines
from receiving.reply_text.result import ReplyMethod, ReplyText
from receiving.reply_text.signatures import end_of_own_text
from receiving.reply_text.subjects import SubjectKind, subject_kind
from receiving.reply_text.text_quotes import ForwardedMessageError, TextQuotes

_STRENGTH = list(ReplyMethod)


def split(
    text: str, html: str | None = None, *, parent_text: str | None = None, subject: str = ""
) -> ReplyText:
    """Splits a message into what its sender wrote and the rest; both are lines of `text`.

    - `text`: the plain text, or the one that was made from the HTML.
    - `html`: the HTML of the same content; it only says which of the text's lines are quoted.
    - `parent_text`: the text of the message that is answered, where it is known.
    - `subject`: a forward is not cut. In a message with another subject than that of a reply and
      without a parent, quote marks and blockquotes alone are no quote, an attribution needs an
      address, and copied headers need a date.

    Looks at 4,000 lines and 256 Ki characters of the text, and at 128 Ki characters of the HTML and
    of the parent's text; what follows goes with the last line that was looked at. Takes linear
    time and memory, and raises nothing.
    """
    lines, kind = read_lines(text), subject_kind(subject)
    is_reply = bool(parent_text) or kind in (SubjectKind.REPLY, SubjectKind.UNKNOWN)
    by_parent = _by_parent(lines, parent_text)
    by_html = _by_html(lines, html, bare_blockquotes=is_reply)
    quoted = _combined(by_parent, by_html)
    found = TextQuotes(lines, quoted, kind, is_reply)
    try:
        found.find()
    except ForwardedMessageError:
        return _whole(lines, ReplyMethod.FORWARD)
    methods = set(found.methods)
    if any(by_parent):
        methods.add(ReplyMethod.PARENT)
    if QUOTE in by_html or BELOW in by_html:
        methods.add(ReplyMethod.HTML)
    if _cut_signatures(lines, quoted, by_html):
        methods.add(ReplyMethod.SIGNATURE)
    if not methods:
        return _whole(lines, ReplyMethod.NONE)
    return ReplyText(
        _joined(lines, quoted, False),
        _joined(lines, quoted, True),
        min(methods, key=_STRENGTH.index),
    )


def _by_parent(lines: Lines, parent_text: str | None) -> list[bool]:
    parent = KnownText([(QUOTE, parent_text[:MAX_KNOWN])]) if parent_text else None
    return quoted_from(lines, parent) if parent else [False] * len(lines)


def _by_html(lines: Lines, html: str | None, *, bare_blockquotes: bool) -> list[int]:
    labels: list[int] | None = None
    if html:
        found = list(pieces(html, bare_blockquotes=bare_blockquotes))
        if any(label != OWN for label, _ in found):
            labels = labels_by(lines, KnownText(found), is_part=len(html) > MAX_CHARACTERS)
    return labels or [OWN] * len(lines)


def _combined(by_parent: list[bool], by_html: list[int]) -> list[bool]:
    """Answers between lines of the parent are no part of the rest."""
    repeated = [number for number, is_repeated in enumerate(by_parent) if is_repeated]
    first, last = (repeated[0], repeated[-1]) if repeated else (0, -1)
    return [
        by_parent[number] or label == QUOTE or (label == BELOW and not first <= number <= last)
        for number, label in enumerate(by_html)
    ]


def _cut_signatures(lines: Lines, quoted: list[bool], by_html: list[int]) -> bool:
    """Of each run of lines that aren't quoted; also takes the rulers above quotes."""
    was_cut, start = False, 0
    for is_quoted, run in groupby(list(quoted)):
        end = start + len(list(run))
        if not is_quoted:
            own_end = end if end == len(lines) else _without_rulers(lines, start, end)
            quoted[own_end:end] = [True] * (end - own_end)
            for number in range(start, own_end):
                if by_html[number] == SIGNATURE and lines.bare[number]:
                    quoted[number] = was_cut = True
            cut = end_of_own_text(lines, start, own_end)
            was_cut |= any(lines.bare[cut:own_end])
            quoted[cut:own_end] = [True] * (own_end - cut)
        start = end
    return was_cut


def _without_rulers(lines: Lines, start: int, end: int) -> int:
    own_end = end
    while own_end > start and (not lines.bare[own_end - 1] or is_ruler(lines.bare[own_end - 1])):
        own_end -= 1
    return own_end


def _whole(lines: Lines, method: ReplyMethod) -> ReplyText:
    return ReplyText(_joined(lines, [False] * len(lines), False), "", method)


def _joined(lines: Lines, quoted: list[bool], wanted: bool) -> str:
    """The runs of lines with a blank line between, without blank lines around them."""
    runs: list[str] = []
    for is_quoted, numbers in groupby(range(len(lines)), key=quoted.__getitem__):
        if is_quoted is wanted:
            run = [lines.raw[number] for number in numbers]
            text = _without_blank_lines(run)
            if text:
                runs.append(text)
    has_rest = bool(quoted) and quoted[-1] is wanted
    return ("\n\n".join(runs) + (lines.rest if has_rest else "")).lstrip("\r\n").rstrip()


def _without_blank_lines(run: list[str]) -> str:
    first, last = 0, len(run)
    while first < last and not run[first].strip():
        first += 1
    while last > first and not run[last - 1].strip():
        last -= 1
    return "\n".join(run[first:last])
