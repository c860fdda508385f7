"""(u) Under attack and under load: who is served while others stall, hang or never give up."""

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench import mails
from bench.helpers import sink
from bench.notifications import events_for, signed_requests
from bench.results import Figure
from bench.rows import add_endpoints, new_mails, write_mails
from bench.system import System

SECONDS = 8.0  # a body may stall for ten
EVERY = 0.1  # seconds between two probes of one kind
PATIENCE = 5.0  # of a probe
LIMIT = 1.0  # seconds within which each probe must be answered
# Under overload the API may let a request wait this long before it refuses it.
QUEUED_LIMIT = 2.5

STALLED, SILENT, IDLE, TESTS, CLIENTS = 1_000, 5_000, 5_000, 16, 400
_BATCH = 20


def under_attack(system: System) -> Iterator[Figure]:
    """`/healthz`, the API and SES's callbacks, probed during each attack."""
    probes = _Probes(system)
    for name, attack in _ATTACKS.items():
        with attack(system):
            yield from probes.measure(name)
        served = probes.until_served(name)
        if attack is _impatient_clients or served.missed:
            yield served


@contextmanager
def _nothing(system: System) -> Iterator[None]:
    yield


@contextmanager
def _stalled_bodies(system: System) -> Iterator[None]:
    """Without a key: half declare a length and send one byte, half are chunked and never end."""
    head = "POST /events/ses HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    kinds = ("Content-Length: 1000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    with _held(system, STALLED) as connections:
        for number, each in enumerate(connections):
            each.sendall((head + kinds[number % 2]).encode())
        yield


@contextmanager
def _silent_connections(system: System) -> Iterator[None]:
    with _held(system, SILENT):
        yield


@contextmanager
def _idle_connections(system: System) -> Iterator[None]:
    """Each has asked for one thing and is kept open."""
    with _held(system, IDLE) as connections:
        for each in connections:
            each.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with suppress(TimeoutError):  # not all of them were accepted
            for each in connections:
                each.recv(4096)
        yield


@contextmanager
def _hanging_tests(system: System) -> Iterator[None]:
    """Test events to an endpoint that never answers."""
    with sink(status=0) as (port, _):
        (endpoint,) = add_endpoints(system, port=port, count=1, events=["email.*"])
        test = _request(system, "POST", f"/webhooks/{endpoint}/test", {})
        with _held(system, TESTS) as connections:
            for each in connections:
                each.sendall(test)
            time.sleep(0.5)
            yield


@contextmanager
def _impatient_clients(system: System) -> Iterator[None]:
    """More requests than are served, from clients that give up after a second and try again."""
    body = [mails.api_body(number) for number in range(_BATCH)]
    request = _request(system, "POST", "/emails/batch", body)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.impatient", str(_port(system)), str(CLIENTS)],
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(request)
    process.stdin.close()
    time.sleep(3)
    try:
        yield
    finally:
        process.kill()
        process.wait()


_ATTACKS: dict[str, Callable[[System], AbstractContextManager[None]]] = {
    "no attack": _nothing,
    f"{STALLED:,} stalled bodies": _stalled_bodies,
    f"{SILENT:,} silent connections": _silent_connections,
    f"{IDLE:,} idle connections": _idle_connections,
    f"{TESTS} hanging test events": _hanging_tests,
    f"{CLIENTS} impatient clients": _impatient_clients,
}


@dataclass
class _Answers:
    """Of one kind of probe: latencies in milliseconds by status; 0 for none in time."""

    by_status: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        self.by_status.setdefault(status, []).append(seconds * 1000)

    def figure(self, name: str, *, limit: float) -> Figure:
        times = [ms for status, each in self.by_status.items() if status for ms in each]
        unanswered = len(self.by_status.get(0, []))
        slowest = max(times, default=PATIENCE * 1000)
        counts = {f"status {status}": len(each) for status, each in sorted(self.by_status.items())}
        late = slowest > limit * 1000
        return Figure(
            part="u",
            name=name,
            operations=len(times),
            seconds=SECONDS,
            cpu={},
            p50=statistics.median(times) if times else None,
            slowest=slowest,
            notes=dict(counts),
            missed=f"{unanswered} unanswered, slowest {slowest:.0f} ms"
            if unanswered or late
            else "",
        )


class _Probes:
    """Requests on connections of their own, one of each kind every 100 ms."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._port = _port(system)
        refs = new_mails(1_500)
        write_mails(system, refs, status="sent")
        self._callbacks = iter(
            signed_requests(
                events_for(refs, count=3_000),
                twin_dir=system.var_dir / "twin",
                topic_arn=system.facts["sns_events_topic_arn"],
                port=self._port,
            )
        )
        health = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        self._list = _request(system, "GET", "/emails?limit=1", None)
        self._kinds: dict[str, Callable[[], bytes]] = {
            "/healthz": lambda: health,
            "API": lambda: self._list,
            "callbacks": lambda: next(self._callbacks),
        }

    def measure(self, attack: str) -> Iterator[Figure]:
        answers = {kind: _Answers() for kind in self._kinds}
        threads: list[threading.Thread] = []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for kind, build in self._kinds.items():
                thread = threading.Thread(target=self._probe, args=(build(), answers[kind]))
                thread.start()
                threads.append(thread)
            time.sleep(EVERY)
        for thread in threads:
            thread.join()
        is_overload = "impatient" in attack
        for kind, each in answers.items():
            limit = QUEUED_LIMIT if is_overload and kind == "API" else LIMIT
            yield each.figure(f"{attack}: {kind}", limit=limit)

    def until_served(self, attack: str) -> Figure:
        """How long after an attack the API needs to serve a request within a second again."""
        began, tries = time.monotonic(), 0
        while time.monotonic() - began < 60:
            tries += 1
            answers = _Answers()
            self._probe(self._list, answers, patience=1.0)
            if 200 in answers.by_status:
                break
        took = time.monotonic() - began
        return Figure(
            part="u",
            name=f"after {attack}: until served again",
            operations=tries,
            seconds=took,
            cpu={},
            slowest=took * 1000,
            missed="" if took < QUEUED_LIMIT else f"after {took:.1f} s",
        )

    def _probe(self, request: bytes, answers: _Answers, *, patience: float = PATIENCE) -> None:
        began = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=patience) as each:
                each.sendall(request)
                status = int(each.recv(65536)[9:12] or 0)
        except OSError:
            status = 0
        answers.add(status, time.monotonic() - began)


@contextmanager
def _held(system: System, count: int) -> Iterator[list[socket.socket]]:
    """That many open connections; those that the server does not accept wait in its backlog."""
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            each = stack.enter_context(socket.socket())
            each.settimeout(1.0)
            try:
                each.connect(("127.0.0.1", _port(system)))
            except TimeoutError:
                break  # the backlog is full, which is as bad
            connections.append(each)
        yield connections


def _request(system: System, method: str, path: str, body: object) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{_port(system)}\r\n"
        f"Authorization: Bearer {system.facts['api_key']}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _port(system: System) -> int:
    return urlsplit(system.base_url).port or 80
