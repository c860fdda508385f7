"""The delivery loop: hundreds of requests in flight, rows claimed and written in batches.

One thread talks to the database while the event loop talks to the endpoints. Rows are claimed as
requests finish, so a slow endpoint delays only its own deliveries.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import uvloop
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from core import metrics
from core.context import request_id
from core.outbound import OutboundClient
from core.queue.queues import Batch
from core.queue.worker_loop import stopping
from webhooks.dispatch.claim import Job, claim, is_rate_limited
from webhooks.dispatch.outbound_policy import outbound_policy
from webhooks.dispatch.results import Result, record, still_leased
from webhooks.dispatch.signed_request import post

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_WINDOW = 0.002  # seconds to collect further results into one write
POLL_INTERVAL = 0.1  # seconds between claims while requests are in flight
DB_RETRY_DELAY = 0.5  # seconds between tries while the database is unavailable


def deliver_due(seconds: float = math.inf) -> Batch:
    """Deliver until nothing is due or in flight; claim nothing more after that many seconds.

    `processed` counts attempts with a 2xx response, `failed` all others.
    """
    dispatcher = _Dispatcher(until=time.monotonic() + seconds)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(dispatcher.run())


@dataclass
class _Dispatcher:
    until: float  # by time.monotonic()

    def __post_init__(self) -> None:
        self.total = Batch(0)
        self.in_flight: set[asyncio.Task[Result]] = set()
        self.unwritten: list[Result] = []
        self.is_rate_limited = False
        self.database = ThreadPoolExecutor(1, thread_name_prefix="webhooks-database")

    async def run(self) -> Batch:
        try:
            client = OutboundClient(outbound_policy(), limit=settings.WEBHOOK_CONCURRENCY)
            async with client:
                while True:
                    jobs = await self._in_database(self._exchange)
                    self._start(client, jobs)
                    if not self._is_busy():
                        return self.total
                    await self._collect_finished()
        finally:
            for task in self.in_flight:
                task.cancel()
            # A lambda, because `connection` is thread-local.
            await self._in_database(lambda: connection.close())
            self.database.shutdown()

    def _exchange(self) -> list[Job]:
        """Write the results so far and claim deliveries for the free slots."""
        try:
            record(self.unwritten)
            self.unwritten = []
            return self._claim()
        except (InterfaceError, OperationalError) as error:
            connection.close()
            self.unwritten = still_leased(self.unwritten)
            if not self._is_busy():
                raise
            # Results are kept while their leases last, so that no finished request is repeated.
            logger.warning("Database unavailable", extra={"reason": str(error)})
            time.sleep(DB_RETRY_DELAY)  # in the database thread: requests continue
            return []

    def _claim(self) -> list[Job]:
        """Reserve a quarter of the slots for endpoints with hardly any request in flight.
        Otherwise many endpoints that start to hang at once would take every slot."""
        self.is_rate_limited = False
        free = settings.WEBHOOK_CONCURRENCY - len(self.in_flight)
        if stopping.is_set() or time.monotonic() >= self.until or not free:
            return []
        reserved = settings.WEBHOOK_CONCURRENCY // 4
        if free > reserved:
            jobs = claim(free - reserved, share=settings.WEBHOOK_PER_ENDPOINT)
        else:
            jobs = claim(free, share=min(2, settings.WEBHOOK_PER_ENDPOINT))
        self.is_rate_limited = not jobs and not self.in_flight and is_rate_limited()
        return jobs

    def _is_busy(self) -> bool:
        return bool(self.in_flight or self.unwritten or self.is_rate_limited)

    def _start(self, client: OutboundClient, jobs: list[Job]) -> None:
        for job in jobs:
            self.in_flight.add(asyncio.create_task(_attempt(client, job)))

    async def _collect_finished(self) -> None:
        if self.in_flight:
            await asyncio.wait(
                self.in_flight, timeout=POLL_INTERVAL, return_when=asyncio.FIRST_COMPLETED
            )
            await asyncio.sleep(BATCH_WINDOW)
        elif self.is_rate_limited:
            await asyncio.sleep(POLL_INTERVAL)
        done = {task for task in self.in_flight if task.done()}
        self.in_flight -= done
        results = [task.result() for task in done]
        self.unwritten += results
        succeeded = [result.succeeded for result in results].count(True)
        self.total += Batch(len(results), succeeded, failed=len(results) - succeeded)

    async def _in_database(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.database, action)


async def _attempt(client: OutboundClient, job: Job) -> Result:
    request_id.set(job.request_id)  # for logging; contextvars are per asyncio task
    started, clock = timezone.now(), time.perf_counter()
    outcome = await post(
        client,
        job.endpoint,
        event_id=job.event_id,
        body=job.body,
        attempt=job.number,
        at=started,
    )
    metrics.WEBHOOK_SECONDS.observe(time.perf_counter() - clock)
    return Result(job=job, outcome=outcome, at=started)
