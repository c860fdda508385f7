"""A plain-text part for mail that was given as HTML only."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "br", "div", "dl", "dt", "dd", "footer", "form"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre"}
    | {"section", "table", "tr", "ul"}
)
_SKIPPED = ["head", "script", "style", "template", "title"]


def as_text(html: str) -> str:
    """The words of the HTML, a line for each block, links with their address behind them."""
    tree = LexborHTMLParser(html)
    tree.strip_tags(_SKIPPED)
    root = tree.body or tree.root
    if root is None:
        return ""
    parts = [_piece(node) for node in root.traverse(include_text=True)]
    lines = (re.sub(r"[ \t\r\f\v\xa0]+", " ", line).strip() for line in "".join(parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _piece(node: LexborNode) -> str:
    if node.tag == "-text":
        text = node.text_content or ""
        closing = _link_behind(node)
        return text.replace("\n", " ") + closing
    if node.tag == "img":
        return node.attributes.get("alt") or ""
    return "\n" if node.tag in _BLOCKS else ""


def _link_behind(text: LexborNode) -> str:
    """The target of a link, after its last text and unless the text says it already."""
    parent = text.parent
    if parent is None or parent.tag != "a" or text.next is not None:
        return ""
    target = parent.attributes.get("href") or ""
    shown = (text.text_content or "").strip()
    if not target.startswith(("http://", "https://", "mailto:")):
        return ""
    target = target.removeprefix("mailto:")
    return "" if target == shown else f" ({target})"
