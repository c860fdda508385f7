"""DNS resolution to checked addresses; the connector connects to exactly those."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult

from core.outbound.addresses import UnsafeAddress, why_unsafe
from core.outbound.policy import OutboundPolicy

Lookup = Callable[[str], Sequence[str]]

CACHE_SECONDS = 5.0
NEGATIVE_CACHE_SECONDS = 1.0
CACHE_NAMES = 10_000

# getaddrinfo blocks for up to 30 s when a name's servers don't respond, and such a name must not
# delay all others. libuv's own pool, which uvloop would use, has four threads.
LOOKUP_THREADS = 64


class DnsError(OSError):
    """A name that does not resolve, or not in time."""


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    expires: float
    addresses: tuple[str, ...] = ()
    error: DnsError | UnsafeAddress | None = None


class CheckedResolver(AbstractResolver):
    """Resolves a name once, checks every address, and returns them for the connection.

    One unsafe address refuses the whole name: mixing public and private addresses is how DNS
    rebinding gets one address checked and another one used.
    """

    def __init__(
        self,
        policy: OutboundPolicy,
        *,
        lookup: Lookup | None = None,
        timeout: float = 5.0,
        threads: int = LOOKUP_THREADS,
    ) -> None:
        self._policy = policy
        self._lookup = lookup or system_lookup
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dns")
        self._cache: OrderedDict[str, _CacheEntry] = OrderedDict()
        self._pending: dict[str, asyncio.Task[_CacheEntry]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises DnsError, or UnsafeAddress with the address and the reason."""
        entry = self._cached(host) or await self._shared_lookup(host)
        if entry.error is not None:
            raise type(entry.error)(*entry.error.args)  # each waiter needs its own traceback
        results = [_result(host, address, port) for address in entry.addresses]
        matching = [result for result in results if family in (socket.AF_UNSPEC, result["family"])]
        if not matching:
            raise DnsError(f"{host} has no address of the requested family")
        return matching

    async def close(self) -> None:
        for task in self._pending.values():
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _cached(self, host: str) -> _CacheEntry | None:
        entry = self._cache.get(host)
        return entry if entry and entry.expires > _now() else None

    async def _shared_lookup(self, host: str) -> _CacheEntry:
        """Concurrent requests for a name share one lookup; it survives a cancelled waiter."""
        task = self._pending.get(host)
        if task is None:
            task = self._pending[host] = asyncio.create_task(self._look_up(host))
            task.add_done_callback(lambda _: self._pending.pop(host, None))
        return await asyncio.shield(task)

    async def _look_up(self, host: str) -> _CacheEntry:
        try:
            addresses = await self._query(host)
            self._check(host, addresses)
        except (DnsError, UnsafeAddress) as error:
            entry = _CacheEntry(_now() + NEGATIVE_CACHE_SECONDS, error=error)
        else:
            entry = _CacheEntry(_now() + CACHE_SECONDS, addresses=addresses)
        self._cache[host] = entry
        self._cache.move_to_end(host)
        if len(self._cache) > CACHE_NAMES:
            self._cache.popitem(last=False)
        return entry

    async def _query(self, host: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await loop.run_in_executor(self._pool, self._lookup, host)
        except TimeoutError:
            raise DnsError(f"{host} could not be resolved within {self._timeout:g} s") from None
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise DnsError(f"{host} could not be resolved: {why}") from None
        if not addresses:
            raise DnsError(f"{host} has no address")
        return tuple(dict.fromkeys(addresses))

    def _check(self, host: str, addresses: Sequence[str]) -> None:
        for address in addresses:
            reason = why_unsafe(address, self._policy)
            if reason:
                raise UnsafeAddress(f"{host} resolves to {address}, which is {reason}")


def system_lookup(host: str) -> list[str]:
    """All addresses of a name from the system resolver; blocks."""
    infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(info[4][0]) for info in infos]


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
