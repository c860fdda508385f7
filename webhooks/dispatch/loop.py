"""The work behind `webhooks.tasks`: hundreds of requests in flight, rows read and written in bulk.

One thread talks to the database while the event loop talks to the endpoints. Rows are claimed as
requests finish, so a slow endpoint holds up nothing but its own share.
"""

import asyncio
import logging
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
from core.queue.worker_loop import stopping
from webhooks.dispatch.claim import Job, claim, is_held_back
from webhooks.dispatch.results import Result, record, still_leased
from webhooks.dispatch.signed_request import post
from webhooks.outbound_policy import outbound_policy

logger = logging.getLogger(__name__)

T = TypeVar("T")

GATHER = 0.002  # seconds in which further answers join the ones to be written
LOOK = 0.1  # seconds between looks for new work while requests are in flight
AWAY = 0.5  # seconds before a database that didn't answer is asked again


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
        self.waits_for_pace = False
        self.database = ThreadPoolExecutor(1, thread_name_prefix="webhooks-database")

    async def run(self) -> int:
        try:
            client = OutboundClient(outbound_policy(), limit=settings.WEBHOOK_CONCURRENCY)
            async with client:
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
        try:
            record(self.unwritten)
            self.unwritten = []
            return self._claim()
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

    def _claim(self) -> list[Job]:
        """A quarter of the places is kept for endpoints that have hardly any request in flight:
        endpoints that all begin to hang at once would otherwise take every place there is."""
        self.waits_for_pace = False
        free = settings.WEBHOOK_CONCURRENCY - len(self.in_flight)
        if stopping.is_set() or not free:
            return []
        kept = settings.WEBHOOK_CONCURRENCY // 4
        if free > kept:
            jobs = claim(free - kept, share=settings.WEBHOOK_PER_ENDPOINT)
        else:
            jobs = claim(free, share=min(2, settings.WEBHOOK_PER_ENDPOINT))
        self.waits_for_pace = not jobs and not self.in_flight and is_held_back()
        return jobs

    def _is_busy(self) -> bool:
        return bool(self.in_flight or self.unwritten or self.waits_for_pace)

    def _start(self, client: OutboundClient, jobs: list[Job]) -> None:
        for job in jobs:
            self.in_flight.add(asyncio.create_task(_attempt(client, job)))

    async def _some_finished(self) -> None:
        if self.in_flight:
            await asyncio.wait(self.in_flight, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(GATHER)
        elif self.waits_for_pace:
            await asyncio.sleep(LOOK)
        done = {task for task in self.in_flight if task.done()}
        self.in_flight -= done
        self.made += len(done)
        self.unwritten += [task.result() for task in done]

    async def _in_database(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.database, action)


async def _attempt(client: OutboundClient, job: Job) -> Result:
    request_id.set(job.request_id)  # in this task's own context, for whatever it logs
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
