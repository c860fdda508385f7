"""Connections to checked addresses only, which record whether they are reused."""

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

# Node closes idle connections after 5 s. Closing them first avoids most races in which a request
# is written to a connection that the server is about to close.
KEEPALIVE_SECONDS = 4.0


@dataclass(slots=True)
class ConnectionInfo:
    """The connection that one request used."""

    address: str = ""
    reused: bool = False


current_connection: ContextVar[ConnectionInfo] = ContextVar("current_connection")


class GuardedConnector(aiohttp.TCPConnector):
    """Also checks each address when its socket is created.

    aiohttp does not pass literal addresses to the resolver, so checking there is not enough.
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
            use_dns_cache=False,  # the resolver has its own, which also caches refusals
            limit=limit,
            force_close=force_close,
            keepalive_timeout=None if force_close else KEEPALIVE_SECONDS,
            socket_factory=self._create_socket,
        )
        # aiohttp has no parameter for the protocol factory.
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
        info, protocol = current_connection.get(), connection.protocol
        peer = self._peers.get(protocol)
        if peer is None:
            info.reused = False
            info.address = self._peers[protocol] = _peer(connection)
            # aiohttp does not bound idle connections: thousands of hosts would exhaust the
            # process's file descriptors.
            if protocol is not None and len(self._peers) > self._max_open:
                protocol.force_close()
        else:
            info.reused, info.address = True, peer
        return connection

    def _create_socket(self, addr_info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = addr_info
        host = str(address[0])
        reason = why_unsafe(host, self._policy)
        if reason:
            raise UnsafeAddress(f"{host} is {reason}")
        info = current_connection.get(None)
        if info is not None:
            info.address = host
        return socket.socket(family, kind, protocol)


def _peer(connection: Connection) -> str:
    transport = connection.transport
    name = transport.get_extra_info("peername") if transport is not None else None
    return str(name[0]) if name else ""
