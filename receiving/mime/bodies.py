"""Which parts are the body and which are attachments (RFC 8621 section 4.1.4)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from receiving.mime import content
from receiving.mime.structure import Part

_MEDIA = ("image/", "audio/", "video/")
_TEXT = ("text/plain", "text/html")


@dataclass(slots=True)
class Bodies:
    """Text bodies hold HTML parts where there is no plain text, and vice versa. An image between
    texts is in none of them but among the attachments."""

    text: list[Part] = field(default_factory=list)
    html: list[Part] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)


def choose(root: Part) -> Bodies:
    """RFC 8621's algorithm, with media parts of a body as attachments."""
    bodies = Bodies()
    _Choice(bodies).read([root], "mixed", bodies.text, bodies.html, is_alternative=False)
    return bodies


class _Choice:
    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def read(
        self,
        parts: Sequence[Part],
        subtype: str,
        text: list[Part] | None,
        html: list[Part] | None,
        *,
        is_alternative: bool,
    ) -> None:
        """`text` and `html` are the lists that take the parts; None once an alternative of
        another type was found."""
        before = len(text or []), len(html or [])
        for position, part in enumerate(parts):
            if part.is_multipart:
                inner = part.content_type.value.partition("/")[2]
                inside = is_alternative or inner == "alternative"
                self.read(part.children, inner, text, html, is_alternative=inside)
            elif not _is_inline(part, position, subtype):
                self._bodies.attachments.append(part)
            elif subtype == "alternative":
                self._add_alternative(part, text, html)
            else:
                if is_alternative and part.content_type.value == "text/plain":
                    html = None
                elif is_alternative and part.content_type.value == "text/html":
                    text = None
                self._add(part, text, html)
        if subtype == "alternative" and text is not None and html is not None:
            _fill(text, html, before)

    def _add_alternative(
        self, part: Part, text: list[Part] | None, html: list[Part] | None
    ) -> None:
        bodies = {"text/plain": text, "text/html": html}
        chosen = bodies.get(part.content_type.value)
        (self._bodies.attachments if chosen is None else chosen).append(part)

    def _add(self, part: Part, text: list[Part] | None, html: list[Part] | None) -> None:
        if _is_media(part):
            self._bodies.attachments.append(part)
            return
        for body in (text, html):
            if body is not None:
                body.append(part)


def _fill(text: list[Part], html: list[Part], before: tuple[int, int]) -> None:
    """An alternative of one type only is for both bodies."""
    has_text, has_html = len(text) > before[0], len(html) > before[1]
    if not has_text and has_html:
        text += html[before[1] :]
    elif has_text and not has_html:
        html += text[before[0] :]


def _is_inline(part: Part, position: int, subtype: str) -> bool:
    kind = part.content_type.value
    if content.disposition(part).value == "attachment" or not (kind in _TEXT or _is_media(part)):
        return False
    return position == 0 or (
        subtype != "related" and (_is_media(part) or not content.filename(part))
    )


def _is_media(part: Part) -> bool:
    return part.content_type.value.startswith(_MEDIA)
