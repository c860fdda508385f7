"""The columns and reasons of suppression files, as other email services export them.

Known from the exports of Amazon SES, Brevo, Mailchimp, Mailgun, Mandrill, Postmark, Resend,
SendGrid and SparkPost.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from unicodedata import normalize

from contacts.models import Suppression

Origin = Suppression.Origin

# Compared as `_key` returns them.
_ADDRESS_COLUMNS = {
    *("email", "emails", "mail", "emailaddress", "mailaddress", "emailaddr", "emailid"),
    *("contactemail", "recipientemail", "recipientemailaddress", "subscriberemail", "useremail"),
    *("emailadresse", "mailadresse", "adresseemail", "adressemail", "adresseelectronique"),
    *("correoelectronico", "indirizzoemail", "emailadres", "enderecodeemail"),
}
# Columns with the address unless another one has it: Mailchimp's `Address` is a street.
_POSSIBLE_ADDRESS_COLUMNS = {"address", "recipient", "recipientaddress", "destination"}
# The first with a known reason counts: Postmark's `Origin` is who suppressed the address.
_REASON_COLUMNS = (
    *("origin", "reason", "suppressionreason", "bouncetype", "suppressiontype", "type"),
    *("event", "unsubreason", "source"),
)

_REASONS = {
    Origin.BOUNCE: (
        *("bounce", "bounced", "bounces", "hardbounce", "hardbounced", "hardbounces", "hard"),
        *("permanent", "permanentbounce", "permanentfailure", "permanentfail", "cleaned"),
        *("bademailaddress", "invalidemail", "invalidaddress", "invalid", "bouncerule"),
    ),
    Origin.COMPLAINT: (
        *("complaint", "complaints", "complained", "spam", "spamcomplaint", "spamcomplaints"),
        *("spamreport", "spamreports", "spamreported", "spamnotification", "abuse"),
        *("abusecomplaint", "contactflaggedasspam", "markedasspam", "feedbackloop"),
    ),
    Origin.UNSUBSCRIBED: (
        *("unsubscribed", "unsubscribe", "unsubscribes", "unsub", "optout", "optedout"),
        *("globalunsubscribe", "groupunsubscribe", "listunsubscribe", "unsubscribelink"),
        *("unsubscribedviaemail", "unsubscribedviama", "unsubscribedviaapi"),
    ),
    Origin.SOFT_BOUNCES: (
        *("softbounces", "softbounce", "softbounced", "soft", "transient", "transientbounce"),
    ),
    Origin.MANUAL: (
        *("manual", "manualsuppression", "manuallyadded", "adminblocked", "blocklisted", "custom"),
    ),
}
_ORIGINS = {name: origin for origin, names in _REASONS.items() for name in names}


class Columns(NamedTuple):
    """The indexes of the cells with the address and with reasons, the most telling first."""

    email: int
    reasons: tuple[int, ...] = ()


def is_header(cells: Sequence[str]) -> bool:
    """Whether these are the names of columns, one of which has addresses."""
    return bool(_address_columns(cells))


def find_columns(header: Sequence[str]) -> Columns:
    """ValueError unless exactly one column has addresses."""
    found = _address_columns(header)
    if not found:
        raise ValueError(
            "must start with a header line that has an `email` column; it starts with "
            + _quoted(header)
        )
    if len(found) > 1:
        names = _quoted([header[index] for index in found])
        raise ValueError(f"has several columns with addresses, {names}: leave only one")
    keys = [_key(name) for name in header]
    return Columns(found[0], tuple(keys.index(name) for name in _REASON_COLUMNS if name in keys))


def parse_reason(cells: Sequence[str]) -> tuple[Suppression.Origin, bool]:
    """The origin for the reasons of a row, and whether one is known or none is given."""
    for cell in cells:
        if origin := _ORIGINS.get(_key(cell)):
            return origin, True
    return Origin.MANUAL, not any(cells)


def _address_columns(header: Sequence[str]) -> list[int]:
    for names in (_ADDRESS_COLUMNS, _POSSIBLE_ADDRESS_COLUMNS):
        if found := [index for index, name in enumerate(header) if _key(name) in names]:
            return found
    return []


def _key(name: str) -> str:
    """Ignores case, accents, blanks, hyphens, underscores and dots: `E-Mail Address` is
    `emailaddress`, `Correo electrónico` is `correoelectronico`."""
    return re.sub(r"[\s_.\u0300-\u036f-]+", "", normalize("NFD", name)).lower()


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{_printable(name)[:50]}`" for name in names[:10] if name)
    return shown + (", ..." if len(names) > 10 else "")


def _printable(text: str) -> str:
    """Without the lone surrogates of bytes that are not UTF-8, which JSON cannot hold."""
    return text.encode(errors="replace").decode()
