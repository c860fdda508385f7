"""The `<style>` elements of a mail, as far as they hide text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

Declarations = Mapping[str, str]

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
_BRACE = re.compile(r"([{}])")
_SIMPLE = re.compile(r"(?P<name>[a-z][a-z0-9]*)?(?P<mark>[.#](?P<key>[a-z0-9_-]+))?")
_LAST_COMPOUND = re.compile(r"[^\s>+~]+\Z")
_MARKS = re.compile(r"[.#][a-z0-9_-]+|\A[a-z][a-z0-9]*")
_BACKGROUNDS = {"background", "background-color", "background-image"}
_MAX_CSS = 256 * 1024  # characters that are read
_MAX_DECLARATIONS = 200


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """Rules by their simple selectors (`p`, `.note`, `p.note`, `#top`). Other selectors, and rules
    for some screens, only tell which elements may have a background."""

    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    backgrounds: frozenset[str] = frozenset()

    @classmethod
    def of(cls, html: str) -> "Stylesheet":
        rules: dict[str, dict[str, str]] = {}
        backgrounds: set[str] = set()
        for selector, given, is_conditional in _rules("".join(_css(html.lower()))):
            if _SIMPLE.fullmatch(selector) and not is_conditional:
                rules.setdefault(selector, {}).update(given)
            elif given.keys() & _BACKGROUNDS and (last := _LAST_COMPOUND.search(selector[-200:])):
                backgrounds.update(_MARKS.findall(last[0]))
        return cls(rules, frozenset(backgrounds))

    def __bool__(self) -> bool:
        return bool(self.rules or self.backgrounds)

    def declarations_of(self, name: str, given: Mapping[str, str]) -> Declarations:
        """Those of the rules for the element; later selectors are the more specific ones."""
        found: dict[str, str] = {}
        if self.rules:
            for selector in _selectors(name, given):
                found |= self.rules.get(selector, {})
        return found

    def may_have_background(self, name: str, given: Mapping[str, str]) -> bool:
        return bool(self.backgrounds) and any(
            selector in self.backgrounds for selector in _selectors(name, given)
        )


@lru_cache(maxsize=1_000)
def declarations(style: str) -> Declarations:
    """The lower-case properties and values of a `style` attribute."""
    found: dict[str, str] = {}
    for declaration in style[:20_000].split(";", _MAX_DECLARATIONS):
        name, colon, value = declaration.partition(":")
        if colon:
            found[name.strip().lower()] = value.lower().replace("!important", "").strip()
    return found


def _css(html: str) -> Iterator[str]:
    """The contents of the `<style>` elements of a lower-case document."""
    rest, position = _MAX_CSS, 0
    while rest > 0 and (tag := html.find("<style", position)) >= 0:
        start = html.find(">", tag) + 1
        if not start:
            break
        end = html.find("</style", start)
        position = len(html) if end < 0 else end
        yield html[start : min(position, start + rest)]
        rest -= position - start


def _rules(css: str) -> Iterator[tuple[str, Declarations, bool]]:
    """Each selector, its declarations, and whether they depend on a condition (`@media`)."""
    depth, before, prelude = 0, "", ""
    for piece in _BRACE.split(_COMMENT.sub("", css)):
        if piece == "{":
            depth += 1
            prelude = before
        elif piece == "}":
            if prelude:
                given = declarations(before)
                yield from (
                    (each.strip(), given, depth > 1) for each in prelude.split(",") if each.strip()
                )
            depth, prelude = max(depth - 1, 0), ""
        before = piece


def _selectors(name: str, given: Mapping[str, str]) -> Iterator[str]:
    yield name
    for each in given.get("class", "").lower().split()[:20]:
        yield f".{each}"
        yield f"{name}.{each}"
    if key := given.get("id", "").lower():
        yield f"#{key}"
