"""(a) Callbacks accepted, (b) callbacks processed into facts and webhook deliveries."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bench.cpu import CpuMeter
from bench.helpers import Load, sink
from bench.load import Job, Result, write_requests
from bench.notifications import events_for, signed_requests
from bench.results import Figure
from bench.rows import add_endpoints, new_mails, write_callbacks, write_mails
from bench.system import System, expect

# Connections, maximum number of requests, maximum seconds.
_LEVELS = ((1, 2_000, 4.0), (8, 6_000, 4.0), (32, 8_000, 6.0))
_BACKLOG = 12_000
_SUSTAINED = 8_000
_WARM = 400
_BOUND = 90.0

_UNPROCESSED = "SELECT FROM provider_events WHERE next_attempt_at IS NOT NULL"
_UNDISPATCHED = "SELECT FROM events WHERE next_attempt_at IS NOT NULL"
_UNDELIVERED = "SELECT FROM webhook_deliveries WHERE next_attempt_at IS NOT NULL"


def accepted(system: System) -> Iterator[Figure]:
    """POST /events/ses without a worker: verified, committed and answered with 200."""
    path = _prepare(system, count=_WARM + sum(count for _, count, _ in _LEVELS))
    _post(system, path, first=0, count=_WARM, connections=4, seconds=20)
    first = stored = _WARM
    for connections, count, seconds in _LEVELS:
        meter = CpuMeter(system.roots)
        result = _post(
            system, path, first=first, count=count, connections=connections, seconds=seconds
        )
        spent = meter.spent() | {"load": result.cpu}
        first += count
        stored += result.answered
        expect(system, "SELECT count(*) FROM provider_events", stored)
        yield Figure(
            part="a",
            name=f"callbacks accepted, {connections} connections",
            operations=result.answered,
            seconds=result.seconds,
            cpu=spent,
            target=2000 if connections == 32 else 0,
            p50=result.p50,
            p99=result.p99,
        )


def processed(system: System) -> Iterator[Figure]:
    """From stored callbacks to deliveries; the notes of each figure have the intermediate steps."""
    yield from _drained(system)
    system.empty()
    yield from _sustained(system)


def _drained(system: System) -> Iterator[Figure]:
    """A stored backlog, drained by the worker while the web processes are idle."""
    with _worker_and_sink(system) as sink_pid:
        refs = new_mails((_WARM + _BACKLOG) // 2)
        events = events_for(refs, count=_WARM + _BACKLOG)
        topic = system.facts["sns_events_topic_arn"]
        write_mails(system, refs, status="sent")
        write_callbacks(system, events[:_WARM], topic_arn=topic)
        system.hint()
        _wait_until_done(system)
        write_callbacks(system, events[_WARM:], topic_arn=topic)
        system.vacuum()
        meter, began = CpuMeter(system.roots | {"sink": sink_pid}), time.monotonic()
        system.hint()
        recorded, fanned_out, delivered = _wait_until_done(system)
        spent = meter.spent()
        _check(system, callbacks=_WARM + _BACKLOG)
        yield Figure(
            part="b",
            name="callbacks processed, a stored backlog",
            operations=_BACKLOG,
            seconds=fanned_out - began,
            cpu=spent,
            target=1500,
            notes={
                "facts written after s": round(recorded - began, 2),
                "delivery rows after s": round(fanned_out - began, 2),
                "delivered after s": round(delivered - began, 2),
            },
        )


def _sustained(system: System) -> Iterator[Figure]:
    """Callbacks arrive on 32 connections while the worker processes them."""
    with _worker_and_sink(system) as sink_pid:
        path = _prepare(system, count=_WARM + _SUSTAINED)
        _post(system, path, first=0, count=_WARM, connections=4, seconds=20)
        _wait_until_done(system)
        meter, began = CpuMeter(system.roots | {"sink": sink_pid}), time.monotonic()
        result = _post(system, path, first=_WARM, count=_SUSTAINED, connections=32, seconds=30)
        answered = time.monotonic()
        _, fanned_out, delivered = _wait_until_done(system)
        spent = meter.spent() | {"load": result.cpu}
        _check(system, callbacks=_WARM + _SUSTAINED)
        yield Figure(
            part="b",
            name="callbacks from POST to delivery rows",
            operations=result.answered,
            seconds=fanned_out - began,
            cpu=spent,
            p50=result.p50,
            p99=result.p99,
            notes={
                "accepted/s meanwhile": round(result.answered / result.seconds),
                "behind at the end s": round(fanned_out - answered, 2),
                "delivered after s": round(delivered - began, 2),
            },
        )


@contextmanager
def _worker_and_sink(system: System) -> Iterator[int]:
    """A worker, and a sink subscribed to `email.*`; yields the sink's process id."""
    with sink(delay_ms=0) as (port, pid), system.worker():
        add_endpoints(system, port=port, count=1, events=["email.*"])
        yield pid


def _prepare(system: System, *, count: int) -> Path:
    """Insert mails, and write a file with signed callbacks about them."""
    refs = new_mails((count + 1) // 2)
    write_mails(system, refs, status="sent")
    requests = signed_requests(
        events_for(refs, count=count),
        twin_dir=system.var_dir / "twin",
        topic_arn=system.facts["sns_events_topic_arn"],
        port=_port(system),
    )
    path = system.var_dir / "callbacks.bin"
    write_requests(path, requests)
    system.vacuum()
    return path


def _post(
    system: System, path: Path, *, first: int, count: int, connections: int, seconds: float
) -> Result:
    job = Job(
        port=_port(system),
        requests=str(path),
        first=first,
        count=count,
        connections=connections,
        seconds=seconds,
    )
    return Load(job).result()


def _wait_until_done(system: System) -> list[float]:
    return system.until_none(_UNPROCESSED, _UNDISPATCHED, _UNDELIVERED, seconds=_BOUND)


def _check(system: System, *, callbacks: int) -> None:
    """Each callback produced one fact, one event and one delivery with its attempt."""
    expect(system, "SELECT count(*) FROM provider_events WHERE state = 'processed'", callbacks)
    expect(system, "SELECT count(*) FROM email_events", callbacks)
    expect(system, "SELECT count(*) FROM events WHERE type LIKE 'email.%'", callbacks)
    expect(system, "SELECT count(*) FROM webhook_deliveries WHERE status = 'success'", callbacks)
    expect(system, "SELECT count(*) FROM webhook_attempts", callbacks)
    expect(system, "SELECT count(*) FROM email_recipients WHERE status = 'sent'", 0)


def _port(system: System) -> int:
    return urlsplit(system.base_url).port or 80
