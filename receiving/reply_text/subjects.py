"""What the subject says about a message: the outermost prefix counts."""

from enum import Enum

from receiving.reply_text.words import FORWARD_PREFIXES, FULLWIDTH_COLON, REPLY_PREFIXES

_MAX_PREFIX = 20  # characters


class SubjectKind(Enum):
    UNKNOWN = 0  # no subject
    REPLY = 1
    FORWARD = 2
    OTHER = 3


def subject_kind(subject: str) -> SubjectKind:
    """Of "AW: ...", "Re[2]: ...", "[list] Re: ..." and so on."""
    subject = subject[:1000].strip().replace(FULLWIDTH_COLON, ":")
    if not subject:
        return SubjectKind.UNKNOWN
    if subject.startswith("[") and "]" in subject:
        subject = subject.partition("]")[2].lstrip()
    prefix, colon, _ = subject[:_MAX_PREFIX].partition(":")
    prefix = prefix.partition("[")[0].partition("(")[0].strip(" ^0123456789").casefold()
    if colon and prefix in REPLY_PREFIXES:
        return SubjectKind.REPLY
    return SubjectKind.FORWARD if colon and prefix in FORWARD_PREFIXES else SubjectKind.OTHER
