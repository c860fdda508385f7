"""(g) One SES callback from storing to its fact, alone and beside the backlog of another source."""

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import UUID

import psycopg

from bench.notifications import Event, signed_requests
from bench.results import MAX_RATIO, Figure
from bench.rows import new_mails, write_callbacks_of_another_source, write_mails
from bench.system import System, TimedOut, expect

_ROUNDS = 3  # of each kind, alternating
_WARM = 10
_COUNT = 100
_BACKLOG = 10_000
_LOCKED = 500
_PAUSE = 0.05  # seconds, so that each callback gets its own hint
_BOUND = 10.0
_OTHER = "inbound"


def beside_another_source(system: System) -> Iterator[Figure]:
    """The callbacks come one by one; the worker is otherwise idle."""
    alone: list[float] = []
    beside: list[float] = []
    with system.worker():
        for _ in range(_ROUNDS):
            alone += _play(system)
            with _backlog(system):
                beside += _play(system)
    ratio = statistics.median(beside) / statistics.median(alone)
    yield _figure("one callback to its fact, alone", alone)
    yield _figure(
        f"the same beside {_BACKLOG:,} of another source",
        beside,
        notes={"p50 against alone": f"{ratio:.2f} (at most {MAX_RATIO:g})"},
        missed=f"the p50 is {ratio:.2f} times that alone" if ratio > MAX_RATIO else "",
    )


@contextmanager
def _backlog(system: System) -> Iterator[None]:
    """Older due callbacks, some of which a worker has locked in a transaction that stays open."""
    system.empty()
    write_callbacks_of_another_source(system, _OTHER, count=_BACKLOG)
    system.vacuum()
    with psycopg.connect(system.env["DATABASE_URL"]) as worker:
        locked = worker.execute(
            "UPDATE provider_events SET claims = claims + 1 WHERE id IN (SELECT id"
            " FROM provider_events WHERE source = %s ORDER BY next_attempt_at LIMIT %s)",
            [_OTHER, _LOCKED],
        )
        assert locked.rowcount == _LOCKED
        yield
        worker.rollback()
    expect(
        system,
        f"SELECT count(*) FROM provider_events WHERE source = '{_OTHER}' AND state = 'received'",
        _BACKLOG,
    )
    system.empty()


def _play(system: System) -> list[float]:
    """Milliseconds from the response to each POST, whose row is committed, to its fact."""
    refs = new_mails(_WARM + _COUNT)
    write_mails(system, refs, status="sent")
    port = urlsplit(system.base_url).port or 80
    requests = signed_requests(
        [Event(ref, "SEND") for ref in refs],
        twin_dir=system.var_dir / "twin",
        topic_arn=system.facts["sns_events_topic_arn"],
        port=port,
    )
    times = []
    for ref, request in zip(refs, requests, strict=True):
        _post(port, request)
        times.append(_milliseconds_until_fact(system, ref.id))
        time.sleep(_PAUSE)
    return times[_WARM:]


def _post(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=_BOUND) as connection:
        connection.sendall(request)
        status = connection.recv(65_536).partition(b"\r\n")[0]
    if not status.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"POST /events/ses: {status!r}")


def _milliseconds_until_fact(system: System, email_id: UUID) -> float:
    began = time.perf_counter()
    query = "SELECT EXISTS (SELECT FROM email_events WHERE email_id = %s)"
    while system.database.execute(query, [email_id]).fetchone() != (True,):
        if time.perf_counter() - began > _BOUND:
            raise TimedOut(f"no fact after {_BOUND:.0f} s")
        time.sleep(0.0005)
    return (time.perf_counter() - began) * 1000


def _figure(
    name: str, times: list[float], *, notes: dict[str, float | str] | None = None, missed: str = ""
) -> Figure:
    return Figure(
        part="g",
        name=name,
        operations=len(times),
        seconds=sum(times) / 1000,
        cpu={},
        p50=statistics.median(times),
        p95=statistics.quantiles(times, n=20, method="inclusive")[-1],
        slowest=max(times),
        notes=notes or {},
        missed=missed,
    )
