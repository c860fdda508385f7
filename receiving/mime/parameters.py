"""Values with parameters, as in `Content-Type` (RFC 2045 section 5.1, RFC 2231)."""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from receiving.mime.charsets import decode
from receiving.mime.encoded_words import decode_words

_MAX_VALUE = 8 * 1024  # characters of a field that are read
_MAX_SECTIONS = 100  # of one parameter
_VALUE = re.compile(r"[^\s;()]*+")
_PARAMETER = re.compile(
    r"""
    ;? \s*+ (?P<name> [^\s=;"]++ ) \s*+ = \s*+
    (?: "(?P<quoted> (?: [^"\\] | \\. )*+ )"? [^;]*+ | (?P<token> [^;]*+ ) )
    """,
    re.DOTALL | re.VERBOSE,
)
_SKIPPED = re.compile(r"[^\s;]*+[\s;]*+")
_SECTION = re.compile(r"(?P<base>[^*]++)(?:\*(?P<number>[0-9]{1,3}))?(?P<is_extended>\*?)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Parameterised(NamedTuple):
    """A lower-case value, such as `text/html`, and decoded parameters by their lower-case names."""

    value: str
    parameters: dict[str, str]


def parse(text: str) -> Parameterised:
    """Lenient: what is no parameter is skipped. The first parameter of a name counts."""
    text = text[:_MAX_VALUE].lstrip()
    value = _VALUE.match(text)
    found: dict[str, list[tuple[int, bool, str]]] = {}
    for name, given in _pairs(text, value.end() if value else 0):
        section = _SECTION.fullmatch(name)
        if section is None:
            continue
        sections = found.setdefault(section["base"], [])
        if len(sections) < _MAX_SECTIONS:
            sections.append((int(section["number"] or -1), bool(section["is_extended"]), given))
    parameters = {name: _joined(sections) for name, sections in found.items()}
    return Parameterised(value[0].lower() if value else "", parameters)


def _pairs(text: str, position: int) -> Iterator[tuple[str, str]]:
    while position < len(text):
        if parameter := _PARAMETER.match(text, position):
            quoted = parameter["quoted"]
            given = _ESCAPED.sub(r"\1", quoted) if quoted is not None else parameter["token"]
            yield parameter["name"].lower(), given.strip() if quoted is None else given
            position = parameter.end()
        else:
            skipped = _SKIPPED.match(text, position + 1)
            position = skipped.end() if skipped else len(text)


def _joined(sections: list[tuple[int, bool, str]]) -> str:
    """The value of a parameter from its sections (RFC 2231 sections 3 and 4).

    A value in the extended notation is preferred to a plain one of the same name, which is for
    older readers (RFC 6266 section 4.3).
    """
    numbered = sorted((each for each in sections if each[0] >= 0), key=lambda each: each[0])
    whole = [each for each in sections if each[0] < 0]
    extended = [each for each in whole if each[1]]
    chosen = extended[:1] or numbered or whole[:1]
    if not any(is_extended for _, is_extended, _ in chosen):
        return decode_words("".join(text for _, _, text in chosen))
    charset, octets = "", b""
    for index, (_, is_extended, text) in enumerate(chosen):
        if index == 0 and is_extended and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        octets += unquote_to_bytes(text) if is_extended else text.encode()
    return decode(octets, charset)
