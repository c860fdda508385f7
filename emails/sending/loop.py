"""The work behind `emails.tasks`: claimed emails go to the provider, many at a time.

A row is marked `sending` in the statement that claims it, and no more rows are claimed than can
be handed over at once; so a worker that dies leaves at most that many sends in doubt.
"""

import logging
import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import ceil
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from psycopg import sql

from core import metrics
from core.queue.worker_loop import stopping
from emails.content import attachments, mime
from emails.content.addresses import parse
from emails.content.outgoing import prepared
from emails.models import Email, EmailAttachment, EmailRecipient
from emails.providers import (
    Accepted,
    NotTaken,
    Outbound,
    OutcomeUnknown,
    Refused,
    get_provider,
)
from emails.sending.send_limiter import SendLimiter
from emails.sending.send_results import Outcome, settle
from emails.sending.suppression_check import drop_suppressed

logger = logging.getLogger(__name__)

_DEADLY = Refused("The worker died over this email each time it was claimed.")
_DB_DOWN = (InterfaceError, OperationalError)
PAUSE = 0.5  # seconds before a database that didn't answer is asked again
PATIENCE = 0.2  # seconds to wait for an answer before looking for more mail
BATCHES_FIRST = 0.1  # of the claims
READY = 0.25  # of the lease: the rest is for the call, which takes LONGEST_CALL at most
GATHER = 0.01  # seconds in which further answers join the ones to be written

_OPEN = "next_attempt_at IS NOT NULL AND status IN ('queued', 'scheduled')"
_LANES = f"""
    WITH RECURSIVE lanes AS (
        (SELECT provider, region FROM emails WHERE {_OPEN}
          ORDER BY provider, region LIMIT 1)
        UNION ALL
        SELECT following.* FROM lanes CROSS JOIN LATERAL (
            SELECT provider, region FROM emails
             WHERE {_OPEN} AND (provider, region) > (lanes.provider, lanes.region)
             ORDER BY provider, region LIMIT 1) AS following)
    SELECT provider, region FROM lanes
"""  # noqa: S608 (only constants of this module)


@dataclass(frozen=True, slots=True)
class Send:
    """One email and the envelope it goes out with."""

    email: Email
    to: list[str]
    cc: list[str]
    bcc: list[str]
    attachments: list[EmailAttachment]
    # The one who gets it, when it is one.
    only: EmailRecipient | None
    # By time.monotonic(), until when the call must have begun to end within the lease.
    begin_by: float

    @property
    def recipients(self) -> int:
        return len(self.to) + len(self.cc) + len(self.bcc)


def send_due() -> int:
    """Send until nothing is due; how many provider calls were made.

    Mail that only the rate holds back is waited for.
    """
    made = in_flight = 0
    finished: SimpleQueue[Future[Outcome]] = SimpleQueue()
    with ThreadPoolExecutor(settings.SEND_CONCURRENCY, thread_name_prefix="send") as pool:
        limiter = SendLimiter(pool)
        while True:
            free = settings.SEND_CONCURRENCY - in_flight
            for send in _claim(limiter, free, busy=in_flight > 0):
                pool.submit(_hand_over, send).add_done_callback(finished.put)
                in_flight += 1
            if not in_flight:
                pause = limiter.pause()
                if pause is None or stopping.wait(pause):
                    return made
                continue
            outcomes = [future.result() for future in _some_of(finished)]
            in_flight -= len(outcomes)
            made += len(outcomes)
            limiter.record_throttles(outcomes)
            _write(outcomes)


def _write(outcomes: Sequence[Outcome]) -> None:
    """Again and again while the database is away: a mail that was taken must not go twice.

    After the lease the rows are in doubt anyway, and the error is raised.
    """
    until = time.monotonic() + settings.SEND_LEASE.total_seconds()
    while True:
        try:
            return settle(outcomes)
        except _DB_DOWN as error:
            connection.close()
            if time.monotonic() >= until:
                raise
            logger.warning("The database does not answer", extra={"reason": str(error)})
            time.sleep(PAUSE)


def _some_of(finished: "SimpleQueue[Future[Outcome]]") -> list[Future[Outcome]]:
    """Those that have finished; none when that takes longer than a moment."""
    try:
        first = finished.get(timeout=PATIENCE)
    except Empty:
        return []
    time.sleep(GATHER)
    return [first, *(finished.get() for _ in range(finished.qsize()))]


def _claim(limiter: SendLimiter, free: int, *, busy: bool) -> list[Send]:
    """Nothing is due, or nothing may leave, when the list is empty or there is no place for it.

    While calls are in flight a database that is away is no error: their results must not be
    lost for it.
    """
    if free <= 0 or stopping.is_set():
        return []
    try:
        limiter.flush()
        while True:
            begin_by = time.monotonic() + settings.SEND_LEASE.total_seconds() * READY
            if not (emails := _lease(limiter, free)):
                return []
            settle([Outcome(email, _DEADLY) for email in emails if email.is_poisoned])
            sends = _envelopes([email for email in emails if not email.is_poisoned], begin_by)
            limiter.release_unused(emails, {send.email.pk: send.recipients for send in sends})
            # None is left of a batch when all its recipients were suppressed meanwhile.
            if sends:
                return sends
    except _DB_DOWN:
        connection.close()
        if not busy:
            raise
    return []


def _lease(limiter: SendLimiter, free: int) -> list[Email]:
    """As many as there are places and tokens for, by turns between regions."""
    taken: list[Email] = []
    lanes = _lanes()
    for place, (provider, region) in enumerate(lanes):
        # What a lane leaves over goes to those after it.
        share = ceil((free - len(taken)) / (len(lanes) - place))
        if share:
            taken += limiter.acquire(provider, region, share, partial(_lease_in, provider, region))
    return taken


def _lease_in(provider: str, region: str, places: int) -> list[Email]:
    """By turns between workspaces, and single mails before those of batches.

    Now and then it is the batches' turn: single mails without end would else keep them for good.
    """
    is_batch_first = random.random() < BATCHES_FIRST  # noqa: S311
    first = _lease_of(provider, region, is_batch=is_batch_first, limit=places)
    left = places - len(first)
    if not left:
        return first
    return first + _lease_of(provider, region, is_batch=not is_batch_first, limit=left)


def _lease_of(provider: str, region: str, *, is_batch: bool, limit: int) -> list[Email]:
    lane = sql.SQL("provider = {} AND region = {} AND is_batch = {}").format(
        sql.Literal(provider), sql.Literal(region), sql.Literal(is_batch)
    )
    return Email.objects.claim_fairly(
        limit=limit,
        key="workspace_id",
        per_key=sql.Literal(limit),
        turns=sql.SQL("random()"),  # a rate makes claims small: the oldest would be always first
        lease=settings.SEND_LEASE,
        where=sql.SQL("status IN ('queued', 'scheduled') AND ") + lane,
        sets=sql.SQL(
            "status = 'sending', first_attempt_at = coalesce(item.first_attempt_at, now())"
        ),
    )


def _lanes() -> list[tuple[str, str]]:
    """The (provider, region) for which anything is on its way, by skipping through the index."""
    with connection.cursor() as cursor:
        cursor.execute(_LANES)
        found: list[tuple[str, str]] = cursor.fetchall()
    return found


def _envelopes(emails: Sequence[Email], begin_by: float) -> list[Send]:
    """The emails with those recipients that nothing speaks against right now."""
    sends = []
    attached = attachments.of(emails)
    for email, recipients in drop_suppressed(emails):
        by_kind: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
        for recipient in recipients:
            by_kind[recipient.kind].append(recipient.address)
        files = attached.get(email.pk, [])
        only = recipients[0] if len(recipients) == 1 else None
        sends.append(Send(email, **by_kind, attachments=files, only=only, begin_by=begin_by))
    return sends


def _hand_over(send: Send) -> Outcome:
    """One provider call; no transaction is open, and no exception leaves."""
    provider = get_provider(send.email.provider)
    clock = time.perf_counter()
    try:
        with attachments.loaded(send.attachments) as parts:
            message = _outbound(send, parts)
            if parts and time.monotonic() > send.begin_by:
                raise NotTaken("Reading the attachments took too long.")
            result: Accepted | Exception = provider.send(message)
    except (NotTaken, OutcomeUnknown, Refused) as error:
        result = error
    except Exception as error:  # a bug: patience, and somebody must look
        logger.exception(
            "Sending email %s broke",
            send.email.pk,
            extra={"request_id": send.email.request_id},
        )
        result = NotTaken(str(error))
    metrics.SEND_SECONDS.labels(provider.name).observe(time.perf_counter() - clock)
    metrics.SENDS.labels(provider.name, type(result).__name__).inc()
    return Outcome(send.email, result, send.recipients)


def _outbound(send: Send, parts: Sequence[mime.Part]) -> Outbound:
    email = send.email
    return Outbound(
        email_id=str(email.pk),
        sender=parse(email.sender).address,
        to=send.to,
        cc=send.cc,
        bcc=send.bcc,
        mime=mime.build(prepared(email, send.only), parts),
        message_id=mime.own_message_id(email),
        region=email.region,
        configuration_set=email.configuration_set,
        tags=email.tags,
    )
