"""Names of attachments that are safe to write to a disk, and to show."""

import re
from pathlib import PurePosixPath

MAX_OCTETS = 255  # of a name, on most file systems

# Separators of folders, control characters, and those that reverse the direction of a name:
# "photo\u202egpj.exe" would show as "photoexe.jpg".
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202f\u2066-\u2069\ufeff]')
_BLANKS = re.compile(r"\s+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)", re.IGNORECASE)


def sanitised(name: str) -> str:
    """The last component of the name without what is unsafe; "" if nothing is left of it."""
    last = re.split(r"[/\\]", name)[-1] or name
    safe = _BLANKS.sub(" ", _UNSAFE.sub("_", last)).strip(" .").removeprefix("~")
    if _RESERVED.match(safe):  # devices of Windows
        safe = f"_{safe}"
    return _shortened(safe)


def for_message(subject: str) -> str:
    """The name of an attached message, by its subject."""
    return _shortened(f"{sanitised(subject.replace('/', '_')) or 'message'}.eml")


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_OCTETS:
        return name
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix.encode()) <= 16 else ""
    stem = name.removesuffix(suffix).encode()[: MAX_OCTETS - len(suffix.encode())]
    return stem.decode(errors="ignore").rstrip() + suffix
