"""Carries messages to HTTP endpoints: bounded, over kept-alive connections, with retries."""

import asyncio
import logging
from collections import defaultdict

import aiohttp
from yarl import URL

from twin.sns.delivery_policy import DeliveryPolicy, effective_policy
from twin.sns.messages import Post
from twin.state import Store, Subscription

_CONCURRENT_PER_SUBSCRIPTION = 50
_TIMEOUT_SECONDS = 15
# Shorter than servers keep an idle connection: a POST that meets a close counts as a failed try.
_KEEPALIVE_SECONDS = 1

logger = logging.getLogger(__name__)


class Courier:
    """Holds every message in memory until its endpoint took it or its policy ran out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None
        self._deliveries: set[asyncio.Task[None]] = set()
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(_CONCURRENT_PER_SUBSCRIPTION)
        )
        self._next_receive: dict[str, float] = {}
        self.delivered = 0
        self.exhausted = 0

    @property
    def pending(self) -> int:
        return len(self._deliveries)

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def forget(self) -> None:
        """Carry nothing of what was given so far any further."""
        for delivery in self._deliveries:
            delivery.cancel()

    async def stop(self) -> None:
        self.forget()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def carry(self, post: Post, *, subscription: Subscription) -> None:
        """Deliver in the background, first try at once."""
        task = asyncio.create_task(self._deliver(post, subscription))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, post: Post, subscription: Subscription) -> None:
        policy = self._policy(subscription)
        for delay in (0.0, *policy.retry_delays()):
            if delay:
                await asyncio.sleep(delay)
            async with self._slots[subscription.arn]:
                await self._await_turn(subscription.arn, policy.max_receives_per_second)
                if not self._is_wanted(post, subscription):
                    return
                if await self._post(post, subscription.endpoint):
                    self.delivered += 1
                    return
        self.exhausted += 1
        logger.warning("gave up on %s for %s", post.type, subscription.endpoint)

    def _policy(self, subscription: Subscription) -> DeliveryPolicy:
        return effective_policy(subscription, self._store.topics.get(subscription.topic_arn))

    def _is_wanted(self, post: Post, subscription: Subscription) -> bool:
        """The subscription may have gone while the message waited; its farewell still goes out."""
        if subscription.arn not in self._store.subscriptions:
            return False
        return subscription.status != "deleted" or post.type == "UnsubscribeConfirmation"

    async def _await_turn(self, arn: str, per_second: int | None) -> None:
        if per_second is None:
            return
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next_receive.get(arn, 0))
        self._next_receive[arn] = turn + 1 / per_second
        await asyncio.sleep(turn - now)

    async def _post(self, post: Post, endpoint: str) -> bool:
        """True for any answer from 200 to 499: SNS takes a 4xx as delivered, too."""
        assert self._session is not None
        try:
            async with self._session.post(
                URL(endpoint, encoded=True),
                data=post.body,
                headers=post.headers,
                allow_redirects=False,
            ) as response:
                # An unread body would cost the connection.
                await response.read()
                return 200 <= response.status < 500
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
