"""Colours as HTML and CSS write them."""

import re
from functools import lru_cache
from typing import NamedTuple

_HEX = re.compile(r"#?([0-9a-f]{8}|[0-9a-f]{6}|[0-9a-f]{3,4})")
_RGB = re.compile(
    r"rgba?\(\s*([0-9]{1,3})[\s,]+([0-9]{1,3})[\s,]+([0-9]{1,3})(?:[\s,/]+([0-9.]{1,8})(%?))?\s*\)"
)
_NAMES = {
    "black": "000000", "white": "ffffff", "red": "ff0000", "green": "008000", "blue": "0000ff",
    "yellow": "ffff00", "gray": "808080", "grey": "808080", "silver": "c0c0c0", "navy": "000080",
    "maroon": "800000", "purple": "800080", "teal": "008080", "olive": "808000", "lime": "00ff00",
    "aqua": "00ffff", "cyan": "00ffff", "fuchsia": "ff00ff", "magenta": "ff00ff",
    "orange": "ffa500", "snow": "fffafa", "ivory": "fffff0", "ghostwhite": "f8f8ff",
    "whitesmoke": "f5f5f5", "floralwhite": "fffaf0", "azure": "f0ffff", "mintcream": "f5fffa",
    "lightgray": "d3d3d3", "lightgrey": "d3d3d3", "darkgray": "a9a9a9", "gainsboro": "dcdcdc",
}  # fmt: skip
_CLOSE = 10  # of 255, in each channel
_FAINT = 0.05


class Colour(NamedTuple):
    red: int
    green: int
    blue: int
    alpha: float = 1.0

    @property
    def is_transparent(self) -> bool:
        return self.alpha <= _FAINT

    @property
    def is_opaque(self) -> bool:
        return self.alpha >= 1

    def is_close_to(self, other: "Colour") -> bool:
        """Whether a reader can't tell them apart."""
        pairs = zip(self[:3], other[:3], strict=True)
        return all(abs(own - its) <= _CLOSE for own, its in pairs)


@lru_cache(maxsize=1_000)
def colour(value: str) -> Colour | None:
    """The colour of a lower-case value, or None if it is none, or is not known here."""
    value = value.removesuffix("!important").strip()
    if value == "transparent":
        return Colour(0, 0, 0, 0.0)
    if found := _RGB.fullmatch(value):
        alpha = _number(found[4]) / (100 if found[5] else 1) if found[4] else 1.0
        return Colour(int(found[1]), int(found[2]), int(found[3]), alpha)
    digits = _NAMES.get(value) or (match[1] if (match := _HEX.fullmatch(value)) else "")
    if len(digits) in (3, 4):
        digits = "".join(2 * digit for digit in digits)
    if not digits:
        return None
    red, green, blue, opacity = bytes.fromhex(digits.ljust(8, "f"))
    return Colour(red, green, blue, opacity / 255)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
