"""Header fields with a syntax of their own (RFC 5322 section 3.6, RFC 2369, RFC 2919).

Encoded words are allowed in their phrases and comments only, never in an address, a message id or
a URL (RFC 2047 section 5): those become ASCII by their own rules, or they are refused.
"""

import re
from collections.abc import Callable
from urllib.parse import quote

import idna

from emails.content.addresses import Mailbox, parse

_PRINTABLE = re.compile(r"[\t -~]*")
_BRACKETS = re.compile(r"(<[^<>]*>)")
_COMMENT = re.compile(r"(\([^()]*\))")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NEXT_URL = re.compile(r"\s*,\s*(?=[A-Za-z][A-Za-z0-9+.-]*:)")
_AUTHORITY = re.compile(r"(?P<start>[A-Za-z][A-Za-z0-9+.-]*://)(?P<authority>[^/?#]*)(?P<rest>.*)")
_ENCODED_WORD = re.compile(r"=\?(?=[^?]*\?[bq]\?[^?]*\?=)", re.IGNORECASE)
# A mailbox of a list: commas within quotes and angle brackets are part of it.
_MAILBOX = re.compile(r'(?:"(?:\\.|[^"\\])*+"|<[^>]*+>|[^,"<]|["<])++')
_UNESCAPED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>')

Encode = Callable[[str], str]  # a text as a phrase, by encoded words where it needs them


def is_url_or_address(text: str) -> bool:
    """Whether `text`, which stands in angle brackets, is more than a part of a sentence."""
    return bool(_SCHEME.match(text)) or "@" in text


def bracketed(text: str) -> str:
    """The URL, message id or address in ASCII, in angle brackets. ValueError if it has no form."""
    return f"<{ascii_url(text) if _SCHEME.match(text) else _ascii_id(text)}>"


def url_list(value: str, encode: Encode) -> str:
    """`<https://...>, <mailto:...> (comment)` (RFC 2369 section 2); angle brackets are added."""
    if not _BRACKETS.search(value):
        urls = _NEXT_URL.split(value.strip())
        if not all(map(_SCHEME.match, urls)):
            return _unbracketed(value, encode)
        return ", ".join(f"<{ascii_url(url)}>" for url in urls)
    parts = []
    for part in _BRACKETS.split(value):
        if _BRACKETS.fullmatch(part):
            url = part[1:-1].strip()
            if not _SCHEME.match(url):
                raise ValueError(
                    "must have URLs such as `https://example.com/` between `<` and `>`"
                )
            parts.append(f"<{ascii_url(url)}>")
        else:
            parts.append(_unbracketed(part, encode))
    return "".join(parts)


def message_ids(value: str, encode: Encode) -> str:
    """`<a@b> <c@d>` (RFC 5322 section 3.6.4); angle brackets are added, commas are dropped."""
    if not _BRACKETS.search(value):
        ids = value.replace(",", " ").split()
        if ids and all("@" in each for each in ids):
            return " ".join(f"<{_ascii_id(each)}>" for each in ids)
        return ascii_only(value, encode)
    parts = [
        f"<{_ascii_id(part[1:-1].strip())}>"
        if _BRACKETS.fullmatch(part)
        else ascii_only(part.replace(",", " "), encode).strip()
        for part in _BRACKETS.split(value)
    ]
    return " ".join(filter(None, parts))


def list_id(value: str, encode: Encode) -> str:
    """`Phrase <list.example.com>` (RFC 2919 section 2)."""
    if not _BRACKETS.search(value):
        return ascii_only(value, encode)
    phrase, name, *rest = _BRACKETS.split(value.strip())
    if any(rest):
        raise ValueError("must end with the list's id between `<` and `>`")
    shown = phrase.strip()
    if not _PRINTABLE.fullmatch(shown):
        shown = encode(shown.strip('"'))
    return f"{shown} <{_ascii_domain(name[1:-1].strip())}>".strip()


def mailboxes(value: str) -> list[Mailbox]:
    """`a@b, Name <a@b>`, where a comma in a name needs quotes."""
    boxes = [parse(each) for each in _MAILBOX.findall(value) if each.strip()]
    if not boxes:
        raise ValueError("must have an email address such as `name@example.com`")
    return boxes


def ascii_only(value: str, encode: Encode) -> str:
    if not _PRINTABLE.fullmatch(value):
        raise ValueError("must be ASCII: the syntax of this header has no place for other text")
    return value


def ascii_url(url: str) -> str:
    """The URL with its host in A-labels and everything else percent-encoded (RFC 3986, 3987).

    What is ASCII already stays as it is.
    """
    if match := _AUTHORITY.fullmatch(url):
        url = match["start"] + _ascii_authority(match["authority"]) + match["rest"]
    elif url.lower().startswith("mailto:"):
        addresses, question, query = url[7:].partition("?")
        to = ",".join(map(_ascii_address, addresses.split(",")))
        url = url[:7] + to + question + query
    return _ENCODED_WORD.sub("=%3F", quote(url, safe=_UNESCAPED))


def _unbracketed(text: str, encode: Encode) -> str:
    """What is around the URLs: commas, `NO` and comments."""
    if "<" in text or ">" in text:
        raise ValueError("must have each URL between `<` and `>`")
    parts = [
        part
        if _PRINTABLE.fullmatch(part) or not _COMMENT.fullmatch(part)
        else f"({encode(part[1:-1])})"
        for part in _COMMENT.split(text)
    ]
    return re.sub(r",\s*", ", ", ascii_only("".join(parts), encode))


def _ascii_id(text: str) -> str:
    left, at, right = text.rpartition("@")
    if not left.isascii() or (not at and not text.isascii()):
        raise ValueError(f"`{text}` has non-ASCII characters, which a message id cannot have")
    return _ENCODED_WORD.sub("=3F", left) + at + _ascii_domain(right)


def _ascii_address(text: str) -> str:
    local, at, domain = text.rpartition("@")
    return quote(local, safe=_UNESCAPED) + at + _ascii_domain(domain) if at else text


def _ascii_authority(authority: str) -> str:
    if authority.isascii():
        return authority
    user, at, server = authority.rpartition("@")
    host, colon, port = server.partition(":")
    return user + at + _ascii_domain(host) + colon + port


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"`{domain}` is a malformed domain: {error}") from None


_SYNTAX: dict[str, Callable[[str, Encode], str]] = {
    **dict.fromkeys(("archived-at", "list-archive", "list-help", "list-owner"), url_list),
    **dict.fromkeys(("list-post", "list-subscribe", "list-unsubscribe"), url_list),
    **dict.fromkeys(
        ("in-reply-to", "original-message-id", "references", "supersedes"), message_ids
    ),
    "list-id": list_id,
    **dict.fromkeys(
        ("accept-language", "auto-submitted", "autocrypt", "bimi-selector"), ascii_only
    ),
    **dict.fromkeys(("cfbl-address", "cfbl-feedback-id", "deferred-delivery"), ascii_only),
    **dict.fromkeys(("disposition-notification-options", "expires", "expiry-date"), ascii_only),
    **dict.fromkeys(("feedback-id", "importance", "latest-delivery-time"), ascii_only),
    **dict.fromkeys(("list-unsubscribe-post", "message-context", "original-recipient"), ascii_only),
    **dict.fromkeys(
        ("precedence", "priority", "reply-by", "require-recipient-valid-since"), ascii_only
    ),
    **dict.fromkeys(("sensitivity", "solicitation", "thread-index", "tls-required"), ascii_only),
    **dict.fromkeys(("x-auto-response-suppress", "x-msmail-priority", "x-priority"), ascii_only),
}
_OF_MAILBOXES = frozenset(
    {"bounces-to", "disposition-notification-to", "errors-to", "mail-followup-to", "mail-reply-to"}
    | {"return-receipt-to", "x-confirm-reading-to"}
)


def syntax_of(name: str) -> Callable[[str, Encode], str] | None:
    """How the field's value becomes ASCII; None for one without a syntax."""
    return _SYNTAX.get(name.lower())


def has_mailboxes(name: str) -> bool:
    return name.lower() in _OF_MAILBOXES
