"""Writing what the provider answered: a constant number of statements a batch."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from core.queue.work import Settlement
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailQuerySet
from emails.providers import Accepted, NotTaken, OutcomeUnknown, QuotaExceeded, Throttled
from emails.sending.token_bucket import REFRESH_EVERY

FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(minutes=15)
TELL_EVERY = timedelta(hours=1)

_GIVEN_UP_AT_ONCE = 100
_NEVER_SAID = OutcomeUnknown(
    "The provider never said whether it took the mail, and nothing that it reported shows it."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one provider call, for so many recipients."""

    email: Email
    result: Accepted | Exception
    recipients: int = 0


def settle(outcomes: Sequence[Outcome]) -> None:
    """One transaction for all of them; a worker that lost its lease writes only acceptances."""
    accepted, defer, failed = _sorted(outcomes)
    with transaction.atomic():
        if len(accepted) < len(outcomes):
            _lock([outcome.email for outcome in outcomes])
        _write_accepted(accepted)
        _write_deferred(defer)
        _write_failed(failed)


def resolve_unknown() -> int:
    """Sends whose worker died become `unknown`; those that stayed so long enough are settled.

    By SEND_UNKNOWN_POLICY: `resend` makes them due again, up to SEND_GIVE_UP_AFTER, and `hold`
    leaves them to an operator.
    """
    with transaction.atomic():
        found = _unlocked(Email.Status.SENDING).update(
            status=Email.Status.UNKNOWN,
            next_attempt_at=Now()
            + Greatest(settings.SEND_UNKNOWN_GRACE, Now() - F("unknown_since")),
            unknown_since=Coalesce("unknown_since", Now()),
        )
        waited = _unlocked(Email.Status.UNKNOWN)
        if settings.SEND_UNKNOWN_POLICY == "hold":
            return found + waited.update(next_attempt_at=None)
        given_up = Q(first_attempt_at__lt=timezone.now() - settings.SEND_GIVE_UP_AFTER)
        failed = _give_up(waited.filter(given_up))
        return found + failed + waited.exclude(given_up).update(status=Email.Status.QUEUED)


def backoff(attempt: int) -> timedelta:
    """Full jitter below a ceiling that doubles from 5 seconds to 15 minutes."""
    ceiling: timedelta = min(FIRST_DELAY * 2 ** min(attempt - 1, 20), LONGEST_DELAY)
    return max(ceiling * random.random(), timedelta(seconds=1))  # noqa: S311


def _delay(outcome: Outcome) -> timedelta:
    """Being too fast says nothing about the email, so it goes again with the next ones."""
    match outcome.result:
        case Throttled():
            return timedelta(seconds=random.uniform(1, 3))  # noqa: S311
        case QuotaExceeded():
            return timedelta(seconds=REFRESH_EVERY)
        case OutcomeUnknown():
            return _grace(outcome.email)
        case _:
            return backoff(outcome.email.claims)


def _grace(email: Email) -> timedelta:
    """For how long evidence is waited for: each time twice as long as before.

    A provider that takes mail and never says so would else be given a copy every few minutes.
    """
    grace: timedelta = settings.SEND_UNKNOWN_GRACE
    return max(grace, timezone.now() - email.unknown_since) if email.unknown_since else grace


def _sorted(
    outcomes: Sequence[Outcome],
) -> tuple[list[tuple[Email, Accepted]], list[Outcome], list[Outcome]]:
    accepted: list[tuple[Email, Accepted]] = []
    defer: list[Outcome] = []
    failed: list[Outcome] = []
    for outcome in outcomes:
        match outcome.result:
            case Accepted() as receipt:
                accepted.append((outcome.email, receipt))
            case Throttled() | QuotaExceeded():  # of no email's making, so none fails for it
                defer.append(outcome)
            case OutcomeUnknown():  # given up, if at all, when no evidence came
                defer.append(outcome)
            case NotTaken() if not _given_up(outcome.email):
                defer.append(outcome)
            case _:
                failed.append(outcome)
    return accepted, defer, failed


def _given_up(email: Email) -> bool:
    since = email.first_attempt_at or email.created_at
    too_long: bool = timezone.now() - since > settings.SEND_GIVE_UP_AFTER
    return too_long


def _unlocked(status: Email.Status) -> EmailQuerySet:
    """Due emails with this status; one that somebody is writing can wait for the next sweep."""
    due = Email.objects.due().filter(status=status).select_for_update(skip_locked=True)
    return Email.objects.filter(pk__in=due.values("pk"))


def _lock(emails: Sequence[Email]) -> None:
    # Callbacks about the same emails are taken in meanwhile. They lock rows in the order of
    # the ids, an UPDATE of several rows in any order: the two could wait for each other.
    rows = Email.objects.filter(pk__in=[email.pk for email in emails]).order_by("pk")
    list(rows.select_for_update(of=("self",)).values_list("pk"))


def _write_accepted(accepted: Sequence[tuple[Email, Accepted]]) -> None:
    """That the provider took a message is a fact, so no lease is asked after."""
    record_facts(
        [
            report
            for email, receipt in accepted
            for report in (_sent(email, receipt), *_refused(email, receipt))
        ]
    )


def _write_deferred(outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        return
    now = timezone.now()
    telling = [
        outcome
        for outcome in outcomes
        if outcome.email.delay_published_at is None
        or now - outcome.email.delay_published_at >= TELL_EVERY
    ]
    for outcome in telling:
        outcome.email.delay_published_at = now
    ours = Email.objects.settle([_defer(outcome) for outcome in outcomes])
    record_facts([_delayed(outcome) for outcome in telling if outcome.email.pk in ours])


def _defer(outcome: Outcome) -> Settlement:
    email, is_unknown = outcome.email, isinstance(outcome.result, OutcomeUnknown)
    # A day on which the provider takes nothing is no attempt at this email.
    is_tried = not isinstance(outcome.result, QuotaExceeded)
    return Settlement(
        email,
        retry_in=_delay(outcome),
        changes={
            "status": (Email.Status.UNKNOWN if is_unknown else Email.Status.QUEUED).value,
            "last_error": _reason(outcome),
            "first_attempt_at": email.first_attempt_at if is_tried else None,
            "delay_published_at": email.delay_published_at,
            "unknown_since": email.unknown_since or (timezone.now() if is_unknown else None),
        },
    )


def _give_up(doubted: EmailQuerySet) -> int:
    """Tell of them as failed: of some now, and of others the next time."""
    emails = list(doubted.without_content().order_by("pk")[:_GIVEN_UP_AT_ONCE])
    _lock(emails)
    record_facts([_failed(Outcome(email, _NEVER_SAID)) for email in emails])
    return len(emails)


def _write_failed(outcomes: Sequence[Outcome]) -> None:
    # The settlement tells which are still ours; the report then finishes them.
    ours = Email.objects.settle(
        [
            Settlement(
                outcome.email, retry_in=timedelta(0), changes={"last_error": _reason(outcome)}
            )
            for outcome in outcomes
        ]
    )
    record_facts([_failed(outcome) for outcome in outcomes if outcome.email.pk in ours])


def _sent(email: Email, receipt: Accepted) -> EmailFact:
    now = timezone.now()
    return EmailFact(
        email_id=email.pk,
        type="sent",
        status=Email.Status.SENT.value,
        occurred_at=now,
        taken_at=now,
        provider_response=_shown(receipt),
        provider_message_id=receipt.provider_message_id,
        message_id=receipt.message_id,
    )


def _refused(email: Email, receipt: Accepted) -> list[EmailFact]:
    """Recipients that the provider did not take the message for, while it did for others."""
    return [
        EmailFact(
            email_id=email.pk,
            type="failed",
            recipient=address,
            status=Email.Status.FAILED.value,
            detail=reason[:1000],
            occurred_at=timezone.now(),
            payload={"reason": reason},
            webhook={"failed": {"reason": reason}},
        )
        for address, reason in receipt.refused.items()
    ]


def _delayed(outcome: Outcome) -> EmailFact:
    told = {"reason": _reason(outcome)}
    return EmailFact(
        email_id=outcome.email.pk,
        type="delayed",
        occurred_at=timezone.now(),
        key=str(outcome.email.claims),
        payload=told,
        webhook={"delayed": told},
    )


def _failed(outcome: Outcome) -> EmailFact:
    told = {"reason": _reason(outcome)}
    return EmailFact(
        email_id=outcome.email.pk,
        type="failed",
        status=Email.Status.FAILED.value,
        detail=_reason(outcome),
        occurred_at=timezone.now(),
        payload=told,
        webhook={"failed": told},
    )


def _reason(outcome: Outcome) -> str:
    return str(outcome.result)[:1000].replace("\x00", "")


def _shown(receipt: Accepted) -> str:
    return orjson.dumps(receipt.provider_response, default=str).decode()[:2000]
