"""Connections that go only to judged addresses, and that remember whether they were used before."""

import asyncio
import socket
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from core.outbound.addresses import UnsafeAddress, why_unsafe
from core.outbound.policy import OutboundPolicy
from core.outbound.protocol import BoundedProtocol
from core.outbound.resolver import CheckedResolver

# Node closes an idle connection after 5 s. To be the first to close avoids most of the races in
# which a request is written to a connection that the server is just hanging up.
KEEPALIVE_SECONDS = 4.0


@dataclass(slots=True)
class Trip:
    """What one request learns about the connection that it was given."""

    address: str = ""
    reused: bool = False


current_trip: ContextVar[Trip] = ContextVar("current_trip")


class GuardedConnector(aiohttp.TCPConnector):
    """Judges an address at the last moment too: where the socket for it is made.

    aiohttp passes literal addresses by its resolver, so the resolver alone is not enough.
    """

    def __init__(
        self,
        *,
        policy: OutboundPolicy,
        resolver: CheckedResolver,
        limit: int,
        max_open: int,
        force_close: bool = False,
    ) -> None:
        super().__init__(
            resolver=resolver,
            use_dns_cache=False,  # the resolver has its own, which also holds refusals
            limit=limit,
            force_close=force_close,
            keepalive_timeout=None if force_close else KEEPALIVE_SECONDS,
            socket_factory=self._make_socket,
        )
        # aiohttp has no parameter for this.
        factory = partial(BoundedProtocol, loop=asyncio.get_running_loop())
        self._factory = factory  # type: ignore[assignment]  # invariant
        self._policy = policy
        self._max_open = max_open
        self._peers: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        trip, protocol = current_trip.get(), connection.protocol
        peer = self._peers.get(protocol)
        if peer is None:
            trip.reused = False
            trip.address = self._peers[protocol] = _peer(connection)
            # The pool puts no bound on idle connections; thousands of hosts would use up the
            # process's file descriptors.
            if protocol is not None and len(self._peers) > self._max_open:
                protocol.force_close()
        else:
            trip.reused, trip.address = True, peer
        return connection

    def _make_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        host = str(address[0])
        reason = why_unsafe(host, self._policy)
        if reason:
            raise UnsafeAddress(f"{host} is {reason}")
        trip = current_trip.get(None)
        if trip is not None:
            trip.address = host
        return socket.socket(family, kind, protocol)


def _peer(connection: Connection) -> str:
    transport = connection.transport
    name = transport.get_extra_info("peername") if transport is not None else None
    return str(name[0]) if name else ""
