"""What kind of mail a message is, by its fields (RFC 3834, RFC 3464, RFC 5965, RFC 2919)."""

import re
from enum import StrEnum

from receiving.mime.message import Message
from receiving.mime.reports import Reports

_AUTOMATIC_SUBJECT = re.compile(
    r"(?:automatic reply|auto(?:matic)?[- ]?(?:reply|response)|out of (?:the )?office|abwesenheits"
    r"|automatische antwort|réponse automatique|absence du bureau|respuesta automática"
    r"|fuera de (?:la )?oficina|risposta automatica|fuori sede|自動応答|automatisch antwoord"
    r"|afwezigheid|odpowiedź automatyczna|autoodpowiedź|resposta automática|autosvar)",
    re.IGNORECASE,
)
_BOUNCE_SENDER = re.compile(r"(?:mailer-daemon|postmaster|mail-daemon)(?:@|\Z)", re.IGNORECASE)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|delivery (?:status|failure|has failed)|returned mail|failure notice|mail delivery"
    r"|non remis|unzustellbar|nicht zugestellt|no se puede entregar|配信不能",
    re.IGNORECASE,
)
_NO_REPLY = re.compile(
    r"(?:no|do[._-]?not)[._-]?reply|notifications?\b|forwarding-noreply", re.IGNORECASE
)


class Category(StrEnum):
    HUMAN = "human"
    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    FEEDBACK_REPORT = "feedback_report"
    LIST = "list"
    NOTIFICATION = "notification"


def category(message: Message, reports: Reports, *, has_null_sender: bool = False) -> Category:
    """`has_null_sender`: the envelope's MAIL FROM was `<>`, as that of bounces is."""
    if reports.feedback:
        return Category.FEEDBACK_REPORT
    if reports.delivery:
        actions = {each.action for each in reports.delivery.recipients}
        return Category.BOUNCE if "failed" in actions or not actions else Category.NOTIFICATION
    if _is_bounce(message, has_null_sender=has_null_sender):
        return Category.BOUNCE
    if _is_auto_reply(message, has_null_sender=has_null_sender):
        return Category.AUTO_REPLY
    if _is_list(message):
        return Category.LIST
    return Category.NOTIFICATION if _is_notification(message) else Category.HUMAN


def _is_bounce(message: Message, *, has_null_sender: bool) -> bool:
    """Without a delivery report: qmail, Exim and others write prose."""
    if message.value("x-failed-recipients"):
        return True
    sender = message.sender
    is_daemon = bool(sender and _BOUNCE_SENDER.match(sender.address))
    return (is_daemon or has_null_sender) and bool(_BOUNCE_SUBJECT.search(message.subject))


def _is_auto_reply(message: Message, *, has_null_sender: bool) -> bool:
    if auto_submitted(message).startswith("auto-replied"):
        return True
    if any(message.value(name) for name in ("x-autoreply", "x-autorespond", "x-auto-reply")):
        return True
    if message.value("precedence").lower() in ("auto_reply", "auto-reply"):
        return True
    is_automatic = has_null_sender or auto_submitted(message) not in ("", "no")
    suppresses = "oof" in message.value("x-auto-response-suppress").lower() and is_automatic
    return suppresses or bool(_AUTOMATIC_SUBJECT.match(message.subject.strip()))


def _is_list(message: Message) -> bool:
    if any(message.value(name) for name in ("list-id", "list-post")):
        return True
    return message.value("precedence").lower() in ("list", "bulk", "junk") or bool(
        message.value("list-unsubscribe")
    )


def _is_notification(message: Message) -> bool:
    if auto_submitted(message) not in ("", "no"):
        return True
    if (
        message.structure.root.content_type.parameters.get("report-type", "")
        == "disposition-notification"
    ):
        return True
    sender = message.sender
    return bool(sender and _NO_REPLY.search(sender.address.partition("@")[0]))


def auto_submitted(message: Message) -> str:
    """The lower-case keyword of Auto-Submitted (RFC 3834 section 5), or ""."""
    return message.value("auto-submitted").partition(";")[0].partition("(")[0].strip().lower()
