"""Plain text whose blanks and line breaks are collapsed as browsers do (CSS Text, section 4)."""

import re
from enum import Enum

_BLANKS = re.compile(r"[ \t\n\r\f\v\xa0]+")
# Preheaders are padded with these; a single one may belong to a word or an emoji.
_INVISIBLE = "\xad\u034f\u061c\u115f\u2007\u200b-\u200f\u2060\ufeff"
_PADDING = re.compile(rf"(?: ?[{_INVISIBLE}]){{3,}}+ ?")
_NOTHING = re.compile(rf"[{_INVISIBLE} ]*+")
_CLOSING = tuple(
    ".,;:!?)]}'\"…»”\N{RIGHT SINGLE QUOTATION MARK}%"
)  # what follows a word without a blank
_LINE_BREAK = re.compile(r"\r\n?|\n")


class _Blank(Enum):
    NONE = 0
    UNLESS_CLOSING = 1  # before anything but punctuation
    ALWAYS = 2


class TextWriter:
    """Blanks and line breaks are written with the text after them, so none is left at the end."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 0
        self._blank = _Blank.NONE
        self._mark = ""
        self._is_after_box = False
        self._indent = ""  # preformatted blanks before the next text of the same line
        self._label: list[str] | None = None

    def write(self, text: str) -> None:
        text = _PADDING.sub(" ", _BLANKS.sub(" ", text))
        if text.startswith(" "):
            self._blank = _Blank.ALWAYS
        if _NOTHING.fullmatch(text):
            return
        self._append(text.strip(" "))
        if text.endswith(" "):
            self._blank = _Blank.ALWAYS

    def write_apart(self, text: str) -> None:
        """With blanks around it, unless punctuation follows."""
        self.separate()
        self.write(text)
        self._blank = _Blank.UNLESS_CLOSING

    def write_preformatted(self, text: str) -> None:
        for number, line in enumerate(_LINE_BREAK.split(text)):
            if number:
                self.break_line()
            if line.strip():
                self._append(line)
            else:
                self._indent += line

    def write_lines(self, text: str) -> None:
        """Only its line breaks are kept."""
        for number, line in enumerate(_LINE_BREAK.split(text)):
            if number:
                self.break_line()
            self.write(line)

    def write_mark(self, mark: str) -> None:
        """Before the next text, on a line of its own."""
        self.start_line()
        self._mark = f"{mark} "

    def write_target(self, target: str) -> None:
        """In parentheses, right after the last text."""
        self._parts.append(f" ({target})")
        if self._blank is _Blank.NONE:
            self._blank = _Blank.UNLESS_CLOSING

    def separate(self) -> None:
        """A blank before the next text."""
        self._blank = _Blank.ALWAYS

    def start_box(self) -> None:
        """Of two boxes without a blank between them, as columns and buttons are, add one."""
        if self._is_after_box:
            self.separate()

    def end_box(self) -> None:
        self._is_after_box = True

    def break_line(self) -> None:
        """One more line break; at most one line stays empty."""
        self._break(min(self._breaks + 1, 2))

    def start_line(self) -> None:
        self._break(max(self._breaks, 1))

    def start_paragraph(self) -> None:
        self._break(2)

    def start_label(self) -> None:
        self._label = []

    def end_label(self) -> str:
        """What was written since `start_label`, in one line."""
        label, self._label = self._label or [], None
        return " ".join(label).strip()

    def finish(self) -> str:
        text = "".join(self._parts)
        return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")

    def _break(self, breaks: int) -> None:
        self._breaks, self._indent = breaks, ""

    def _append(self, text: str) -> None:
        if self._breaks:
            self._parts.append("\n" * self._breaks if self._parts else "")
        elif not self._indent and self._needs_blank(text):
            self._parts.append(" ")
        self._parts += [self._mark, self._indent, text]
        self._breaks, self._blank, self._mark, self._indent = 0, _Blank.NONE, "", ""
        self._is_after_box = False
        if self._label is not None:
            self._label.append(text)

    def _needs_blank(self, text: str) -> bool:
        if not self._parts or self._blank is _Blank.NONE:
            return False
        return self._blank is _Blank.ALWAYS or not text.startswith(_CLOSING)
