"""What a split yields."""

from dataclasses import dataclass
from enum import StrEnum


class ReplyMethod(StrEnum):
    """The strongest evidence by which something was cut, in the order of strength."""

    PARENT = "parent"  # the text of the message that is answered
    HTML = "html"  # elements in which clients put quotes
    ATTRIBUTION = "attribution"  # "On ..., Anna wrote:"
    HEADERS = "headers"  # "From: ... Sent: ... To: ..." or "-----Original Message-----"
    QUOTE_MARKS = "quote_marks"  # lines with ">"
    SIGNATURE = "signature"  # only a signature, a mobile footer or a disclaimer
    FORWARD = "forward"  # nothing: the message is forwarded, not answered
    NONE = "none"  # nothing: no evidence of a quote


@dataclass(frozen=True, slots=True)
class ReplyText:
    """Each line of the text that isn't blank is in one of the two.

    Where other lines were taken out from between, one blank line is left.
    """

    extracted_text: str  # what the sender wrote
    quoted_text: str  # the rest
    reply_method: ReplyMethod
