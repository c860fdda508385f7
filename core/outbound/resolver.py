"""Names to addresses that have been checked, for a connector that dials exactly those."""

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

# getaddrinfo blocks for up to half a minute when a name's servers are silent, and a silent name
# must not hold up all others. libuv's own pool, which uvloop would use, has four threads.
LOOKUP_THREADS = 64


class DnsError(OSError):
    """A name that leads nowhere, or nowhere in time."""


@dataclass(frozen=True, slots=True)
class _Answer:
    expires: float
    addresses: tuple[str, ...] = ()
    error: DnsError | UnsafeAddress | None = None


class CheckedResolver(AbstractResolver):
    """Looks a name up once, judges every address, and returns them for the connection.

    One bad address refuses the whole name: a mix of public and private addresses is how a name
    is made to be checked as one and used as the other.
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
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._pending: dict[str, asyncio.Task[_Answer]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raise DnsError, or UnsafeAddress that names the address and the reason."""
        answer = self._cached(host) or await self._shared_lookup(host)
        if answer.error is not None:
            raise type(answer.error)(*answer.error.args)  # each waiter needs a traceback of its own
        found = [_result(host, address, port) for address in answer.addresses]
        wanted = [result for result in found if family in (socket.AF_UNSPEC, result["family"])]
        if not wanted:
            raise DnsError(f"{host} has no address of the wanted family")
        return wanted

    async def close(self) -> None:
        for task in self._pending.values():
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _cached(self, host: str) -> _Answer | None:
        answer = self._answers.get(host)
        return answer if answer and answer.expires > _now() else None

    async def _shared_lookup(self, host: str) -> _Answer:
        """One lookup serves all who wait for a name, and outlives any that gives up."""
        task = self._pending.get(host)
        if task is None:
            task = self._pending[host] = asyncio.create_task(self._look_up(host))
            task.add_done_callback(lambda _: self._pending.pop(host, None))
        return await asyncio.shield(task)

    async def _look_up(self, host: str) -> _Answer:
        try:
            addresses = await self._ask(host)
            self._judge(host, addresses)
        except (DnsError, UnsafeAddress) as error:
            answer = _Answer(_now() + NEGATIVE_CACHE_SECONDS, error=error)
        else:
            answer = _Answer(_now() + CACHE_SECONDS, addresses=addresses)
        self._answers[host] = answer
        self._answers.move_to_end(host)
        if len(self._answers) > CACHE_NAMES:
            self._answers.popitem(last=False)
        return answer

    async def _ask(self, host: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                found = await loop.run_in_executor(self._pool, self._lookup, host)
        except TimeoutError:
            raise DnsError(f"{host} could not be resolved within {self._timeout:g} s") from None
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise DnsError(f"{host} could not be resolved: {why}") from None
        if not found:
            raise DnsError(f"{host} has no address")
        return tuple(dict.fromkeys(found))

    def _judge(self, host: str, addresses: Sequence[str]) -> None:
        for address in addresses:
            reason = why_unsafe(address, self._policy)
            if reason:
                raise UnsafeAddress(f"{host} resolves to {address}, which is {reason}")


def system_lookup(host: str) -> list[str]:
    """All addresses of a name, as this machine's resolver gives them; blocks."""
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
