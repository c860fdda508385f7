"""The send loop behind `emails.tasks`: claims due emails and sends them concurrently.

The claim itself marks a row as `sending`, and no more rows are claimed than there are free
threads, so a worker that crashes leaves at most SEND_CONCURRENCY unknown sends.
"""

import logging
import math
import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import partial
from math import ceil
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from psycopg import sql

from core import metrics
from core.queue.queues import Batch
from core.queue.wake import pass_on
from core.queue.worker_loop import stopping
from emails import queues
from emails.content import attachments, mime
from emails.content.addresses import parse
from emails.content.outgoing import add_tracking
from emails.content.sizes import MAX_MESSAGE
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
from emails.sending.send_results import SendResult, save_results
from emails.sending.suppression_check import drop_suppressed

logger = logging.getLogger(__name__)

_POISONED = Refused("The worker crashed on every attempt to send this email.")
_DB_DOWN = (InterfaceError, OperationalError)
DB_RETRY_PAUSE = 0.5  # seconds between attempts to reach a database that is down
RESULT_TIMEOUT = 0.2  # seconds to wait for a result before claiming more mail
BATCH_FIRST_SHARE = 0.1  # of the claims, in which mail of batches goes first
PREPARE_SHARE = 0.25  # of the lease; the call itself takes up to MAX_CALL_SECONDS
COLLECT_FOR = 0.01  # seconds in which further results join the batch to be saved

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
    """One email and its envelope."""

    email: Email
    to: list[str]
    cc: list[str]
    bcc: list[str]
    attachments: list[EmailAttachment]
    sole_recipient: EmailRecipient | None
    # By time.monotonic(): a call that starts later may outlive the lease.
    begin_by: float

    @property
    def recipients(self) -> int:
        return len(self.to) + len(self.cc) + len(self.bcc)


def send_due(seconds: float = math.inf) -> Batch:
    """Send until nothing is due; after `seconds`, claim no more and finish what is in flight.

    Waits for mail that only the rate limit holds back, as long as time is left. In the result,
    `processed` emails are done: sent, failed, or all their recipients are suppressed. `failed` ones
    are deferred or unknown.
    """
    until = time.monotonic() + seconds
    total, in_flight = Batch(0), 0
    finished: SimpleQueue[Future[SendResult]] = SimpleQueue()
    with ThreadPoolExecutor(settings.SEND_CONCURRENCY, thread_name_prefix="send") as pool:
        limiter = SendLimiter(pool)
        while True:
            free = settings.SEND_CONCURRENCY - in_flight
            sends, dropped = _claim(limiter, free, until=until, busy=in_flight > 0)
            total += Batch(dropped, processed=dropped)
            for send in sends:
                pool.submit(_call_provider, send).add_done_callback(finished.put)
                in_flight += 1
            if in_flight:
                results = [future.result() for future in _collect(finished)]
                in_flight -= len(results)
                limiter.record_throttles(results)
                total += _save(results)
            elif not _wait(limiter, until):
                break
    # Fetches of limits that were still running ended with the pool.
    limiter.flush()
    return total


def _wait(limiter: SendLimiter, until: float) -> bool:
    """Wait for the rate limit; False if it holds nothing back or no time is left."""
    pause, left = limiter.pause(), until - time.monotonic()
    if pause is None or left <= 0:
        return False
    return not stopping.wait(min(pause, left))


def _save(results: Sequence[SendResult]) -> Batch:
    """Retry while the database is down: an accepted email must not be sent twice.

    After the lease the rows become unknown anyway, so the error is raised then.
    """
    until = time.monotonic() + settings.SEND_LEASE.total_seconds()
    while True:
        try:
            return save_results(results)
        except _DB_DOWN as error:
            connection.close()
            if time.monotonic() >= until:
                raise
            logger.warning("Database unavailable, retrying", extra={"reason": str(error)})
            time.sleep(DB_RETRY_PAUSE)


def _collect(finished: "SimpleQueue[Future[SendResult]]") -> list[Future[SendResult]]:
    """A batch of finished calls; empty if none finishes within RESULT_TIMEOUT."""
    try:
        first = finished.get(timeout=RESULT_TIMEOUT)
    except Empty:
        return []
    time.sleep(COLLECT_FOR)
    return [first, *(finished.get() for _ in range(finished.qsize()))]


def _claim(limiter: SendLimiter, free: int, *, until: float, busy: bool) -> tuple[list[Send], int]:
    """Up to `free` sends, and the number of emails that were settled without a provider call.

    No sends if nothing is due, the rate limit holds everything back or the time is over. While
    calls are in flight an unavailable database is no error: their results must be saved.
    """
    dropped = 0
    if free <= 0 or stopping.is_set():
        return [], dropped
    try:
        limiter.flush()
        while time.monotonic() < until:
            begin_by = time.monotonic() + settings.SEND_LEASE.total_seconds() * PREPARE_SHARE
            if not (emails := _lease(limiter, free)):
                break
            save_results([SendResult(email, _POISONED) for email in emails if email.is_poisoned])
            sends = _sends([email for email in emails if not email.is_poisoned], begin_by)
            limiter.release_unused(emails, {send.email.pk: send.recipients for send in sends})
            dropped += len(emails) - len(sends)
            # Claim again if all recipients of this batch were suppressed since accept.
            if sends:
                return sends, dropped
    except _DB_DOWN:
        connection.close()
        if not busy:
            raise
    return [], dropped


def _lease(limiter: SendLimiter, free: int) -> list[Email]:
    """Lease up to `free` emails, as far as the rate allows, shared evenly between the lanes."""
    emails: list[Email] = []
    lanes = _lanes()
    for index, (provider, region) in enumerate(lanes):
        # What one lane does not use is left to the lanes after it.
        share = ceil((free - len(emails)) / (len(lanes) - index))
        if share:
            emails += limiter.acquire(
                provider, region, share, partial(_lease_lane, provider, region)
            )
    pass_on(queues.SEND.task, claimed=len(emails), limit=free)
    return emails


def _lease_lane(provider: str, region: str, limit: int) -> list[Email]:
    """Round-robin between workspaces; single emails before those of batches.

    A share of the claims takes batches first: a steady flow of single emails would starve them.
    """
    is_batch_first = random.random() < BATCH_FIRST_SHARE  # noqa: S311
    first = _lease_kind(provider, region, is_batch=is_batch_first, limit=limit)
    left = limit - len(first)
    if not left:
        return first
    return first + _lease_kind(provider, region, is_batch=not is_batch_first, limit=left)


def _lease_kind(provider: str, region: str, *, is_batch: bool, limit: int) -> list[Email]:
    lane = sql.SQL("provider = {} AND region = {} AND is_batch = {}").format(
        sql.Literal(provider), sql.Literal(region), sql.Literal(is_batch)
    )
    return Email.objects.claim_fairly(
        limit=limit,
        key="workspace_id",
        per_key=sql.Literal(limit),
        turns=sql.SQL(
            "random()"
        ),  # claims are small: in order of age the same ones would always win
        lease=settings.SEND_LEASE,
        where=sql.SQL("status IN ('queued', 'scheduled') AND ") + lane,
        sets=sql.SQL(
            "status = 'sending', first_attempt_at = coalesce(item.first_attempt_at, now())"
        ),
    )


def _lanes() -> list[tuple[str, str]]:
    """Each (provider, region) that has pending mail, by a skip scan of the index."""
    with connection.cursor() as cursor:
        cursor.execute(_LANES)
        lanes: list[tuple[str, str]] = cursor.fetchall()
    return lanes


def _sends(emails: Sequence[Email], begin_by: float) -> list[Send]:
    """The emails with their deliverable recipients."""
    sends = []
    attached = attachments.by_email(emails)
    for email, recipients in drop_suppressed(emails):
        by_kind: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
        for recipient in recipients:
            by_kind[recipient.kind].append(recipient.address)
        sends.append(
            Send(
                email,
                **by_kind,
                attachments=attached.get(email.pk, []),
                sole_recipient=recipients[0] if len(recipients) == 1 else None,
                begin_by=begin_by,
            )
        )
    return sends


def _call_provider(send: Send) -> SendResult:
    """One provider call, outside any transaction. Never raises."""
    provider = get_provider(send.email.provider)
    started = time.perf_counter()
    try:
        with attachments.load(send.attachments) as parts:
            message = _outbound(send, parts)
            if parts and time.monotonic() > send.begin_by:
                raise NotTaken("Reading the attachments took too long.")
            answer: Accepted | Exception = provider.send(message)
    except (NotTaken, OutcomeUnknown, Refused) as error:
        answer = error
    except Exception as error:  # a bug: log it and retry with backoff
        logger.exception(
            "Sending email %s failed unexpectedly",
            send.email.pk,
            extra={"request_id": send.email.request_id},
        )
        answer = NotTaken(str(error))
    metrics.SEND_SECONDS.labels(provider.name).observe(time.perf_counter() - started)
    metrics.SENDS.labels(provider.name, type(answer).__name__).inc()
    return SendResult(send.email, answer, send.recipients)


def _mime(send: Send, parts: Sequence[mime.Part]) -> bytes:
    """Without tracking, if its URLs would make the message larger than what SES takes."""
    email = send.email
    message = mime.build(add_tracking(email, send.sole_recipient), parts)
    if len(message) <= MAX_MESSAGE or not (email.open_tracking or email.click_tracking):
        return message
    logger.warning("Email %s is too large to be tracked", email.pk)
    untracked = copy(email)
    untracked.open_tracking = untracked.click_tracking = False
    return mime.build(add_tracking(untracked, send.sole_recipient), parts)


def _outbound(send: Send, parts: Sequence[mime.Part]) -> Outbound:
    email = send.email
    return Outbound(
        email_id=str(email.pk),
        sender=parse(email.sender).address,
        to=send.to,
        cc=send.cc,
        bcc=send.bcc,
        mime=_mime(send, parts),
        message_id=mime.own_message_id(email),
        region=email.region,
        configuration_set=email.configuration_set,
        tags=email.tags,
    )
