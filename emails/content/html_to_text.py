"""The plain-text part for mail that has only HTML."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "br", "div", "dl", "dt", "dd", "footer", "form"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre"}
    | {"section", "table", "tr", "ul"}
)
_SKIPPED = ["head", "script", "style", "template", "title"]


def html_to_text(html: str) -> str:
    """The text of the HTML, one line per block, link targets in parentheses after the link."""
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
        return text.replace("\n", " ") + _link_target(node)
    if node.tag == "img":
        return node.attributes.get("alt") or ""
    return "\n" if node.tag in _BLOCKS else ""


def _link_target(text: LexborNode) -> str:
    """The target after the last text of a link, unless the text is the target itself."""
    parent = text.parent
    if parent is None or parent.tag != "a" or text.next is not None:
        return ""
    target = parent.attributes.get("href") or ""
    label = (text.text_content or "").strip()
    if not target.startswith(("http://", "https://", "mailto:")):
        return ""
    target = target.removeprefix("mailto:")
    return "" if target == label else f" ({target})"
