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
# Repetitions are bounded, so that a search takes linear time.
_PLACEHOLDER = re.compile(
    r"(?:https?://)?"
    r"(?:\\?\{|%7B|&\#0{0,5}123;|&\#x0{0,5}7B;|&lcub;|&lbrace;){1,6}"
    rf"{_BLANK}{{0,9}}{_NAME}{_BLANK}{{0,9}}"
    r"(?:\\?\}|%7D|&\#0{0,5}125;|&\#x0{0,5}7D;|&rcub;|&rbrace;){1,6}",
    re.IGNORECASE,
)
_NAME_ALONE = re.compile(_NAME, re.IGNORECASE)


def has_placeholder(text: str) -> bool:
    return _may_have(text) and bool(_PLACEHOLDER.search(text))


def replace_placeholder(text: str, url: str) -> str:
    return _PLACEHOLDER.sub(url, text) if _may_have(text) else text


def replaced_size(text: str) -> int:
    """How many characters `replace_placeholder` may add."""
    return MAX_URL * len(_PLACEHOLDER.findall(text)) if _may_have(text) else 0


def misspelt_placeholder(text: str) -> str:
    """The first one that would be sent as it is, with what is around it; "" if there is none."""
    if not _may_have(text):
        return ""
    left = _PLACEHOLDER.sub("", text)
    name = _NAME_ALONE.search(left)
    return left[max(name.start() - 3, 0) : name.end() + 3] if name else ""


def names_placeholder(text: str) -> bool:
    """Whether it occurs in any spelling."""
    return _may_have(text) and bool(_NAME_ALONE.search(text))


def _may_have(text: str) -> bool:
    """Much faster than the search, which most texts are spared."""
    lowered = text.lower()
    return "unsubscribe" in lowered and ("opensend" in lowered or "resend" in lowered)
