"""Saves what the provider answered, with a constant number of statements per batch."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from core.queue.backoff import Backoff
from core.queue.queues import Batch
from core.queue.wake import pass_on
from core.queue.work import Settlement
from emails import queues
from emails.facts.constructors import delayed, failed, refused, sent
from emails.facts.record import record_facts
from emails.models import Email, EmailQuerySet
from emails.providers import Accepted, NotTaken, OutcomeUnknown, QuotaExceeded, Throttled
from emails.sending.token_bucket import REFRESH_EVERY

BACKOFF = Backoff(first=timedelta(seconds=5), longest=timedelta(minutes=15), jitter=True)
PUBLISH_DELAY_EVERY = timedelta(hours=1)

_GIVE_UP_BATCH = 100
_EXPIRY_BATCH = 500
_HELD_EXPIRED = "held_expired"
_NEVER_CONFIRMED = (
    "The provider never confirmed the email, and none of its events shows that it was sent."
)


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one provider call; `recipients` is the number of recipients of the call."""

    email: Email
    answer: Accepted | Exception
    recipients: int = 0


def save_results(results: Sequence[SendResult]) -> Batch:
    """Save all in one transaction; a worker that lost its lease writes only acceptances.

    `processed` are the sent and the failed emails, `failed` the deferred and unknown ones.
    """
    accepted, deferred, failures = _classify(results)
    with transaction.atomic():
        if len(accepted) < len(results):
            _lock([result.email for result in results])
        _save_accepted(accepted)
        _save_deferred(deferred)
        _save_failed(failures)
    done = len(accepted) + len(failures)
    return Batch(len(results), processed=done, failed=len(deferred))


def resolve_unknown() -> Batch:
    """Mark sends of crashed workers as `unknown`, resolve those whose grace is over, and expire
    held mail.

    By SEND_UNKNOWN_POLICY: `resend` makes them due again, up to SEND_GIVE_UP_AFTER, and `hold`
    leaves them to an operator.
    """
    with transaction.atomic():
        count = _mark_crashed() + _resolve_due() + _expire_held()
    # As many as one step finishes in a batch: the rest is for whoever is idle as well.
    pass_on(queues.RESOLVE_UNKNOWN.task, claimed=count, limit=_GIVE_UP_BATCH)
    return Batch(claimed=count, processed=count)


def _delay(result: SendResult) -> timedelta:
    """A throttled call says nothing about the email, so there is no backoff for it."""
    match result.answer:
        case Throttled():
            return timedelta(seconds=random.uniform(1, 3))  # noqa: S311
        case QuotaExceeded():
            return timedelta(seconds=REFRESH_EVERY)
        case OutcomeUnknown():
            return _grace(result.email)
        case _:
            return BACKOFF.after(result.email.claims)


def _grace(email: Email) -> timedelta:
    """How long to wait for evidence that the email was sent; it doubles each time.

    Otherwise a provider that accepts mail but never answers would get a copy every few minutes.
    """
    grace: timedelta = settings.SEND_UNKNOWN_GRACE
    return max(grace, timezone.now() - email.unknown_since) if email.unknown_since else grace


def _classify(
    results: Sequence[SendResult],
) -> tuple[list[tuple[Email, Accepted]], list[SendResult], list[SendResult]]:
    """The accepted, deferred and failed results."""
    accepted: list[tuple[Email, Accepted]] = []
    deferred: list[SendResult] = []
    failures: list[SendResult] = []
    for result in results:
        match result.answer:
            case Accepted() as answer:
                accepted.append((result.email, answer))
            case Throttled() | QuotaExceeded():  # not the email's fault, so it never fails for it
                deferred.append(result)
            case OutcomeUnknown():  # resolve_unknown gives up, if no evidence comes
                deferred.append(result)
            case NotTaken() if not _is_expired(result.email):
                deferred.append(result)
            case _:
                failures.append(result)
    return accepted, deferred, failures


def _is_expired(email: Email) -> bool:
    since = email.first_attempt_at or email.created_at
    is_expired: bool = timezone.now() - since > settings.SEND_GIVE_UP_AFTER
    return is_expired


def _due_unlocked(status: Email.Status) -> EmailQuerySet:
    """Due emails with this status; a locked one is left to the next sweep."""
    due = Email.objects.due().filter(status=status).select_for_update(skip_locked=True)
    return Email.objects.filter(pk__in=due.values("pk"))


def _lock(emails: Sequence[Email]) -> None:
    # Events about the same emails are recorded concurrently. They lock rows in the order of the
    # ids, while one UPDATE of several rows locks them in any order: the two could deadlock.
    rows = Email.objects.filter(pk__in=[email.pk for email in emails]).order_by("pk")
    list(rows.select_for_update(of=("self",)).values_list("pk"))


def _save_accepted(accepted: Sequence[tuple[Email, Accepted]]) -> None:
    """Acceptance is a fact whether or not the worker still has its lease."""
    record_facts(
        [
            fact
            for email, answer in accepted
            for fact in (sent(email, answer), *refused(email, answer))
        ]
    )


def _save_deferred(results: Sequence[SendResult]) -> None:
    if not results:
        return
    now = timezone.now()
    published = [
        result
        for result in results
        if result.email.delay_published_at is None
        or now - result.email.delay_published_at >= PUBLISH_DELAY_EVERY
    ]
    for result in published:
        result.email.delay_published_at = now
    ours = Email.objects.settle([_defer(result) for result in results])
    record_facts(
        [
            delayed(result.email.pk, reason=_reason(result), key=str(result.email.claims))
            for result in published
            if result.email.pk in ours
        ]
    )


def _defer(result: SendResult) -> Settlement:
    email, is_unknown = result.email, isinstance(result.answer, OutcomeUnknown)
    # An exceeded quota does not count as an attempt at this email.
    is_attempt = not isinstance(result.answer, QuotaExceeded)
    return Settlement(
        email,
        retry_in=_delay(result),
        changes={
            "status": (Email.Status.UNKNOWN if is_unknown else Email.Status.QUEUED).value,
            "last_error": _reason(result),
            "first_attempt_at": email.first_attempt_at if is_attempt else None,
            "delay_published_at": email.delay_published_at,
            "unknown_since": email.unknown_since or (timezone.now() if is_unknown else None),
        },
    )


def _mark_crashed() -> int:
    return _due_unlocked(Email.Status.SENDING).update(
        status=Email.Status.UNKNOWN,
        next_attempt_at=Now() + Greatest(settings.SEND_UNKNOWN_GRACE, Now() - F("unknown_since")),
        unknown_since=Coalesce("unknown_since", Now()),
    )


def _resolve_due() -> int:
    unresolved = _due_unlocked(Email.Status.UNKNOWN)
    if settings.SEND_UNKNOWN_POLICY == "hold":
        return unresolved.update(next_attempt_at=None)
    expired = Q(first_attempt_at__lt=timezone.now() - settings.SEND_GIVE_UP_AFTER)
    given_up = _give_up(unresolved.filter(expired))
    return given_up + unresolved.exclude(expired).update(status=Email.Status.QUEUED)


def _expire_held() -> int:
    """Fail one batch of held mail that nobody released in time."""
    expired = Email.objects.due().filter(status=Email.Status.HELD).order_by("next_attempt_at")
    locked = expired.select_for_update(of=("self",), skip_locked=True)
    ids = list(locked.values_list("pk", flat=True)[:_EXPIRY_BATCH])
    record_facts([failed(pk, reason=_HELD_EXPIRED) for pk in ids])
    return len(ids)


def _give_up(expired: EmailQuerySet) -> int:
    """Fail one batch of unknown sends; the rest follows with the next batches."""
    emails = list(expired.without_content().order_by("pk")[:_GIVE_UP_BATCH])
    _lock(emails)
    record_facts([failed(email.pk, reason=_NEVER_CONFIRMED) for email in emails])
    return len(emails)


def _save_failed(results: Sequence[SendResult]) -> None:
    # The settlement returns the rows whose lease is still ours; the fact then finishes them.
    ours = Email.objects.settle(
        [
            Settlement(result.email, retry_in=timedelta(0), changes={"last_error": _reason(result)})
            for result in results
        ]
    )
    record_facts(
        [
            failed(result.email.pk, reason=_reason(result))
            for result in results
            if result.email.pk in ours
        ]
    )


def _reason(result: SendResult) -> str:
    return str(result.answer)[:1000].replace("\x00", "")
