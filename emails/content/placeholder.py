"""The unsubscribe placeholder in `html` and `text`, as people and HTML editors write it.

Editors percent-encode it as a URL, escape it as HTML or put a scheme before it; template languages
differ in the number of braces.
"""

import re

UNSUBSCRIBE_URL = "{{{OPENSEND_UNSUBSCRIBE_URL}}}"
MAX_URL = 1024  # characters of the URL that takes its place

_BLANK = r"(?:\s|%20|&nbsp;|&\#(?:160|xA0);)"
_UNDERSCORE = r"(?:\\?_|%5F|&\#(?:95|x5F);|&lowbar;)"
_NAME = _UNDERSCORE.join(("(?:OPENSEND|RESEND)", "UNSUBSCRIBE", "URL"))
_OPENING = r"(?:\\?\{|%7B|&\#0{0,5}123;|&\#x0{0,5}7B;|&lcub;|&lbrace;)"
# Repetitions are bounded, so that a search takes linear time.
_PLACEHOLDER = re.compile(
    rf"(?:https?://)?{_OPENING}{{1,6}}{_BLANK}{{0,9}}{_NAME}{_BLANK}{{0,9}}"
    r"(?:\\?\}|%7D|&\#0{0,5}125;|&\#x0{0,5}7D;|&rcub;|&rbrace;){1,6}",
    re.IGNORECASE,
)
_NAME_ALONE = re.compile(_NAME, re.IGNORECASE)
# What stands in braces and was meant to be it: `OPENSEND-UNSUBSCRIBE-URL`, `OPENSEND_UNSUBSCRIBE`.
_BETWEEN = rf"(?:{_UNDERSCORE}|{_BLANK}|[-.\xad\u200b]|&shy;|<[^<>]{{0,40}}>)"
_SIMILAR = re.compile(
    rf"(?:OPEN{_BETWEEN}?SEND|RESEND){_BETWEEN}{{0,3}}UNSU[\w-]{{0,30}}", re.IGNORECASE
)
_OPENED = re.compile(rf"{_OPENING}{_BLANK}{{0,9}}\Z", re.IGNORECASE)
_MAX_OPENING = 64  # characters


def has_placeholder(text: str) -> bool:
    return _may_have(text) and bool(_PLACEHOLDER.search(text))


def replace_placeholder(text: str, url: str) -> str:
    return _PLACEHOLDER.sub(url, text) if _may_have(text) else text


def replaced_size(text: str) -> int:
    """How many characters `replace_placeholder` may add."""
    return MAX_URL * len(_PLACEHOLDER.findall(text)) if _may_have(text) else 0


def misspelt_placeholder(text: str) -> str:
    """The first one that would be sent as it is, with what is around it; "" if there is none."""
    left = _PLACEHOLDER.sub("", text) if _may_have(text) else text
    found = (_NAME_ALONE.search(left) if _may_have(left) else None) or _similar(left)
    return left[max(found.start() - 3, 0) : found.end() + 3] if found else ""


def _similar(text: str) -> re.Match[str] | None:
    """A name between braces that was meant to be the placeholder's."""
    lowered = text.lower()
    if "unsu" not in lowered or "send" not in lowered:
        return None
    found = _SIMILAR.finditer(text)
    return next((each for each in found if _is_opened(text, each.start())), None)


def _is_opened(text: str, position: int) -> bool:
    return bool(_OPENED.search(text[max(position - _MAX_OPENING, 0) : position]))


def names_placeholder(text: str) -> bool:
    """Whether it occurs in any spelling."""
    return _may_have(text) and bool(_NAME_ALONE.search(text))


def _may_have(text: str) -> bool:
    """Much faster than the search, which most texts are spared."""
    lowered = text.lower()
    return "unsubscribe" in lowered and ("opensend" in lowered or "resend" in lowered)
