"""Octets become text: by the label, then by detection, then with replacement characters."""

import codecs
import re
from contextlib import suppress
from functools import lru_cache

from charset_normalizer import from_bytes

_DETECTED = 64 * 1024  # octets that the detection looks at
_MAX_LABEL = 50
_MIN_DETECTED = 8  # octets beyond ASCII
_LATIN_SHARE = 0.3  # of octets beyond ASCII among letters
_LETTERS = re.compile(rb"[A-Za-z]")
# What is no letter in the charset of Western Europe.
_SYMBOL_IN_WORD = re.compile(
    rb"(?<=[a-z\xdf-\xff])[\xa1-\xa9\xab-\xb3\xb5-\xb9\xbb-\xbf](?=[a-z\xdf-\xff])"
)
# In Shift_JIS any octet may be a letter of these, and nobody writes words in them.
_HALF_WIDTH = re.compile("[\uff66-\uff9f]{4}")
_OTHER_SCRIPTS = [
    *("gb18030", "big5", "cp932", "euc_jp", "cp949", "iso2022_jp"),
    *("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874"),
]

# What clients write if they don't know the charset.
_ASCII = {"ascii", "us-ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "default"}
# Labels that mail uses and Python does not know, or knows too narrowly: readers take the superset
# (Encoding Standard, section 4.2).
_ALIASES = {
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-6-e": "iso8859-6",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "windows-949": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "big5": "big5hkscs",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-euc-jp": "euc_jp",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "utf8mb4": "utf-8",
    "unicode": "utf-16",
}
_SINGLE_OCTET = ("cp125", "iso8859", "koi8", "mac", "cp874", "cp437", "cp85", "cp86")
# In these, ASCII octets may stand for other characters.
_STATEFUL = {"utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"} | {
    "hz",
    "iso2022_jp",
    "iso2022_jp_1",
    "iso2022_jp_2",
    "iso2022_jp_3",
    "iso2022_jp_ext",
    "iso2022_jp_2004",
    "iso2022_kr",
    "cp037",
    "cp500",
    "cp1140",
}
# Python's codecs that are no charsets, or take more than linear time.
_NO_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "charmap"}
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def decode(octets: bytes, label: str = "") -> str:
    """The text without its byte order mark. Anything decodes: what can't be read is U+FFFD."""
    codec = _codec(label)
    if octets.isascii() and codec not in _STATEFUL:
        return octets.decode("ascii")
    text = _decode(octets, codec)
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).removeprefix("\ufeff")


def is_known(label: str) -> bool:
    """Whether there is such a charset; a missing label is known to be ASCII."""
    return not label.strip() or label.strip().lower() in _ASCII or _codec(label) is not None


def _decode(octets: bytes, codec: str | None) -> str:
    if codec is not None and not codec.startswith(_SINGLE_OCTET):
        with suppress(UnicodeError):
            return octets.decode(codec)
    # Charsets of one octet per character would accept nearly anything, UTF-8 does not.
    text = octets.decode("utf-8", errors="replace")
    broken = text.count("\N{REPLACEMENT CHARACTER}")
    if not broken or (codec in (None, "utf-8") and _is_mostly_readable(octets, broken)):
        return text
    if codec in (None, "utf-8"):
        codec = _detected(octets)
    return octets.decode(codec, errors="replace")


def _is_mostly_readable(octets: bytes, broken: int) -> bool:
    """Whether more characters outside ASCII can be read as UTF-8 than not."""
    readable = octets.decode("utf-8", errors="ignore")
    return sum(not character.isascii() for character in readable) > broken


@lru_cache(maxsize=500)
def _codec(label: str) -> str | None:
    """Python's name of the charset; None if there is none such, or it says nothing."""
    name = label.strip(" \t\r\n\"'").lower()
    if not 0 < len(name) < _MAX_LABEL or name in _ASCII:
        return None
    try:
        codec = codecs.lookup(_ALIASES.get(name, name)).name
        b"a".decode(codec, "replace")  # not all codecs make text of octets
    except (LookupError, ValueError):
        return None
    return None if codec in _NO_CHARSETS else codec


def _detected(octets: bytes) -> str:
    """A guess for text that says nothing of its charset, or is not in the one that it names.

    Languages with Latin letters have few others; the detection of the library takes those for
    any of a dozen charsets.
    """
    octets = octets[:_DETECTED]
    beyond_ascii = sum(octet > 0x7F for octet in octets)
    letters = beyond_ascii + len(_LETTERS.findall(octets))
    if beyond_ascii < max(_MIN_DETECTED, _LATIN_SHARE * letters):
        return _latin(octets)
    matches = from_bytes(octets, steps=5, chunk_size=512, cp_isolation=_OTHER_SCRIPTS)
    likely = (each.encoding for each in matches if not _HALF_WIDTH.search(str(each)))
    return next(likely, None) or _latin(octets)


def _latin(octets: bytes) -> str:
    if not _SYMBOL_IN_WORD.search(octets):
        return "cp1252"
    # Of the two for Central Europe, only Microsoft's has letters here.
    return "cp1250" if re.search(rb"[\x8a-\x8f\x9a-\x9f\xb9]", octets) else "iso8859-2"
