"""The work behind `webhooks.tasks`: hundreds of requests in flight, rows read and written in bulk.

One thread talks to the database while the event loop talks to the endpoints. Rows are claimed as
requests finish, so a slow endpoint holds up nothing but its own share.
"""

import asyncio
import binascii
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import uvloop
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from core import metrics
from core.draining import stopping
from core.outbound import OutboundClient, Outcome
from webhooks import signing
from webhooks.claiming import Job, claim
from webhooks.recording import Result, record, still_leased
from webhooks.services import policy
from webhooks.signing import opened

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BODY = 16 * 1024
GATHER = 0.002  # seconds in which further answers join the ones to be written
LOOK = 0.1  # seconds between looks for new work while requests are in flight
AWAY = 0.5  # seconds before a database that didn't answer is asked again
USER_AGENT = f"OpenSend-Webhooks/{settings.VERSION}"


def deliver_due() -> int:
    """Deliver until nothing is due and nothing in flight; how many attempts were made."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Dispatcher().run())


@dataclass
class _Dispatcher:
    made: int = 0

    def __post_init__(self) -> None:
        self.in_flight: set[asyncio.Task[Result]] = set()
        self.unwritten: list[Result] = []
        self.database = ThreadPoolExecutor(1, thread_name_prefix="webhooks-database")

    async def run(self) -> int:
        try:
            async with OutboundClient(policy(), limit=settings.WEBHOOK_CONCURRENCY) as client:
                while True:
                    jobs = await self._in_database(self._exchange)
                    self._start(client, jobs)
                    if not self._is_busy():
                        return self.made
                    await self._some_finished()
        finally:
            for task in self.in_flight:
                task.cancel()
            # A lambda: `connection` is another one in each thread.
            await self._in_database(lambda: connection.close())
            self.database.shutdown()

    def _exchange(self) -> list[Job]:
        """Write what is known and claim for the places that are free."""
        free = 0 if stopping.is_set() else settings.WEBHOOK_CONCURRENCY - len(self.in_flight)
        try:
            record(self.unwritten)
            self.unwritten = []
            return claim(free) if free else []
        except (InterfaceError, OperationalError) as error:
            connection.close()
            self.unwritten = still_leased(self.unwritten)
            if not self._is_busy():
                raise
            # Requests that were made are not to be made again: their results are kept for
            # as long as nobody else can have claimed the rows.
            logger.warning("The database does not answer", extra={"reason": str(error)})
            time.sleep(AWAY)  # in the database's thread: requests go on
            return []

    def _is_busy(self) -> bool:
        return bool(self.in_flight or self.unwritten)

    def _start(self, client: OutboundClient, jobs: list[Job]) -> None:
        for job in jobs:
            self.in_flight.add(asyncio.create_task(_attempt(client, job)))

    async def _some_finished(self) -> None:
        if self.in_flight:
            await asyncio.wait(self.in_flight, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(GATHER)
        done = {task for task in self.in_flight if task.done()}
        self.in_flight -= done
        self.made += len(done)
        self.unwritten += [task.result() for task in done]

    async def _in_database(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.database, action)


async def _attempt(client: OutboundClient, job: Job) -> Result:
    """Whatever goes wrong is a result: it must not take other requests down."""
    started, clock = timezone.now(), time.perf_counter()
    try:
        outcome = await _post(client, job, timestamp=int(started.timestamp()))
    except (InvalidToken, binascii.Error):
        logger.exception("No key of ENCRYPTION_KEYS opens the secret of %s", job.endpoint.pk)
        outcome = _unsent("secret_unreadable", "The signing secret could not be decrypted")
    except Exception:
        logger.exception("Delivery %s could not be attempted", job.delivery.pk)
        outcome = _unsent("internal_error", "The request could not be made")
    metrics.WEBHOOK_SECONDS.observe(time.perf_counter() - clock)
    return Result(job=job, outcome=outcome, at=started)


async def _post(client: OutboundClient, job: Job, *, timestamp: int) -> Outcome:
    secret, key = opened(job.endpoint.encrypted_secret)
    body = job.body.encode()
    headers = signing.headers(
        secret=secret,
        key=key,
        event_id=job.event_id,
        attempt=job.number,
        timestamp=timestamp,
        body=body,
    )
    headers["Content-Type"] = "application/json"
    headers["User-Agent"] = USER_AGENT
    return await client.request(
        "POST",
        job.url,
        headers=headers,
        body=body,
        timeout=settings.WEBHOOK_TIMEOUT,
        max_body=MAX_BODY,
    )


def _unsent(error: str, message: str) -> Outcome:
    return Outcome(
        status=None,
        error=error,
        message=message,
        body=b"",
        truncated=False,
        duration_ms=0,
        address="",
    )
