"""The text that a reader of received HTML sees, without what is there for machines only."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from emails.content.html_to_text import Look, is_hidden, read_html
from receiving.mime.colours import Colour, colour
from receiving.mime.stylesheet import Declarations, Stylesheet, declarations

# Zero width, bidirectional controls, tags (Unicode 16, chapter 23): drawn as nothing. What scripts
# and emoji need stays: ZWJ, ZWNJ, LRM and RLM.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)
_WHITE, _BLACK = Colour(255, 255, 255), Colour(0, 0, 0)
_LENGTH = re.compile(r"(-?[0-9]{0,6}(?:\.[0-9]{1,6})?)(px|pt|em|rem|ex|%|vw|vh|in|cm|mm)?")
_FAR = -500.0  # px to the left or above: beyond any window
_TINY = 1.0  # px of a font
_PIXELS = {"": 1.0, "px": 1.0, "pt": 1.33, "em": 16.0, "rem": 16.0, "ex": 8.0, "in": 96.0}
_PIXELS |= {"cm": 37.8, "mm": 3.8, "%": 10.0, "vw": 10.0, "vh": 8.0}
_NOTHING = {"0", "0%", "0.0", "0.00", ".0", "0.01", ".01"}


class VisibleText(NamedTuple):
    """`removed` counts the pieces of hidden text, and the runs of invisible characters."""

    text: str
    removed: int


class _Inherited(NamedTuple):
    """None is unknown, such as behind a picture."""

    colour: Colour | None = _BLACK
    background: Colour | None = _WHITE
    is_tiny: bool = False


_DEFAULT = _Inherited()
# Those that the look depends on; the last ones are of emails.content.html_to_text.
_ATTRIBUTES = (
    "class",
    "id",
    "style",
    "color",
    "bgcolor",
    "background",
    "hidden",
    "data-skip-in-text",
)


def visible_text(html: str) -> VisibleText:
    """Linear time; nothing is loaded. What can't be decided counts as visible."""
    looks = _Looks(Stylesheet.of(html))
    read = read_html(html, looks.look_of)
    shown = without_invisible(read.text)
    return VisibleText(shown.text, read.hidden + shown.removed)


def without_invisible(text: str) -> VisibleText:
    """The text without characters that are drawn as nothing."""
    if text.isascii():
        return VisibleText(text, 0)
    return VisibleText(*_INVISIBLE.subn("", text))


def without_nul(text: str) -> str:
    """PostgreSQL stores no NUL."""
    return text.replace("\0", "")


class _Looks:
    """Most elements of a mail repeat the look of others, so looks are kept."""

    def __init__(self, stylesheet: Stylesheet) -> None:
        self._stylesheet = stylesheet
        self._known: dict[tuple[object, ...], Look] = {}

    def look_of(self, parent: Look, name: str, given: Mapping[str, str]) -> Look:
        inherited = parent.inherited if isinstance(parent.inherited, _Inherited) else _DEFAULT
        key = (inherited, name, *map(given.get, _ATTRIBUTES))
        if (look := self._known.get(key)) is None:
            look = self._known[key] = self._look(inherited, name, given)
        return look

    def _look(self, inherited: _Inherited, name: str, given: Mapping[str, str]) -> Look:
        style = {**self._stylesheet.declarations_of(name, given)}
        style |= declarations(given.get("style", ""))
        if is_hidden(given) or _is_invisible(style):
            return Look(is_hidden=True)
        own = _Inherited(
            _own_colour(style, given, inherited),
            self._background(style, given, inherited, name),
            _is_tiny(style, inherited),
        )
        return Look(hides_text=own.is_tiny or _is_same(own), inherited=own)

    def _background(
        self, style: Declarations, given: Mapping[str, str], above: _Inherited, name: str
    ) -> Colour | None:
        if "background" in given or self._stylesheet.may_have_background(name, given):
            return None
        value = style.get("background-color") or style.get("background") or given.get("bgcolor", "")
        if not value or value in ("transparent", "none", "inherit", "initial"):
            return above.background
        found = None if "(" in value and not value.startswith("rgb") else colour(value)
        return above.background if found and not found.is_opaque else found


def _own_colour(style: Declarations, given: Mapping[str, str], above: _Inherited) -> Colour | None:
    value = style.get("color") or given.get("color", "")
    if not value or value in ("inherit", "currentcolor", "initial", "unset"):
        return above.colour
    return colour(value)


def _is_same(look: _Inherited) -> bool:
    """Whether the text looks like its background."""
    if look.colour is None:
        return False
    if look.colour.is_transparent:
        return True
    return look.background is not None and look.colour.is_close_to(look.background)


def _is_tiny(style: Declarations, above: _Inherited) -> bool:
    size = style.get("font-size", "")
    if not size or size in ("inherit", "100%"):
        return above.is_tiny
    pixels = _pixels(size)
    return pixels is not None and pixels <= _TINY


def _is_invisible(style: Declarations) -> bool:
    """With all that the element contains."""
    return (
        style.get("display") == "none"
        or style.get("visibility") in ("hidden", "collapse")
        or style.get("opacity") in _NOTHING
        or _has_no_size(style)
        or _is_off_screen(style)
    )


def _has_no_size(style: Declarations) -> bool:
    if "scale(0" in style.get("transform", "") or "inset(100%" in style.get("clip-path", ""):
        return True
    if style.get("overflow") not in ("hidden", "clip"):
        return False
    sizes = (style.get(each, "") for each in ("height", "max-height", "width", "max-width"))
    return any(_pixels(size) == 0 for size in sizes if size)


def _is_off_screen(style: Declarations) -> bool:
    moved = ["text-indent", "margin-left", "margin-top"]
    if style.get("position") in ("absolute", "fixed"):
        moved += ["left", "top", "right", "bottom"]
        if style.get("clip", "").replace(" ", "").startswith(("rect(0,0,0,0", "rect(0000")):
            return True
    lengths = (_pixels(style[each]) for each in moved if each in style)
    return any(length is not None and length <= _FAR for length in lengths)


def _pixels(value: str) -> float | None:
    """About how many, or None if the value is no length."""
    length = _LENGTH.match(value)
    if length is None or length[1] in ("", "-", "."):
        return None
    return float(length[1]) * _PIXELS[length[2] or ""]
