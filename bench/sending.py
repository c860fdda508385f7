"""(d) Mail accepted, (e) mail sent."""

import json
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from bench import mails
from bench.cpu import CpuMeter
from bench.helpers import Load
from bench.load import Job, Result, write_requests
from bench.results import Figure
from bench.rows import new_mails, write_mails
from bench.system import System, expect

_SINGLE = 5_000
_BATCHES = 300
_BATCH = 100
_BACKLOG = 3_000
_WARM = 100
_BOUND = 90.0

_UNSENT = "SELECT FROM emails WHERE next_attempt_at IS NOT NULL"


def accepted(system: System) -> Iterator[Figure]:
    """Validated, committed and answered, one or a hundred per request; no worker runs."""
    singles = [mails.api_body(number) for number in range(_WARM + _SINGLE)]
    result, spent = post(system, "/emails", singles, connections=32, warm=_WARM)
    expect(system, "SELECT count(*) FROM emails", _WARM + result.answered)
    yield Figure(
        part="d",
        name="mails accepted, one a request, 32 connections",
        operations=result.answered,
        seconds=result.seconds,
        cpu=spent,
        target=600,
        p50=result.p50,
        p99=result.p99,
    )
    system.empty()
    warm = 8
    batches = [
        [mails.api_body(number * _BATCH + each) for each in range(_BATCH)]
        for number in range(warm + _BATCHES)
    ]
    result, spent = post(system, "/emails/batch", batches, connections=8, warm=warm)
    expect(system, "SELECT count(*) FROM emails", (warm + result.answered) * _BATCH)
    yield Figure(
        part="d",
        name="mails accepted, 100 a request, 8 connections",
        operations=result.answered * _BATCH,
        seconds=result.seconds,
        cpu=spent,
        target=5000,
        p50=result.p50,
        p99=result.p99,
    )


def sent(system: System) -> Iterator[Figure]:
    """A backlog of queued mail, sent to a provider that responds at once or after 50 ms."""
    for latency_ms in (0, 50):
        system.twin(drop_events=1, latency_ms=latency_ms)
        try:
            yield _drained(system, latency_ms=latency_ms)
        finally:
            system.twin()
        system.empty()


def _drained(system: System, *, latency_ms: int) -> Figure:
    refs = new_mails(_WARM + _BACKLOG)
    with system.worker():
        write_mails(system, refs[:_WARM], status="queued")
        system.hint()
        system.until_none(_UNSENT, seconds=_BOUND)
        write_mails(system, refs[_WARM:], status="queued")
        system.vacuum()
        meter, began = CpuMeter(system.roots), time.monotonic()
        system.hint()
        (ended,) = system.until_none(_UNSENT, seconds=_BOUND)
        spent = meter.spent()
    query = "SELECT count(*) FROM emails WHERE status = 'sent' AND provider_message_id <> ''"
    expect(system, query, len(refs))
    expect(system, "SELECT count(*) FROM events WHERE type = 'email.sent'", len(refs))
    return Figure(
        part="e",
        name=f"mails sent, provider answers after {latency_ms} ms",
        operations=_BACKLOG,
        seconds=ended - began,
        cpu=spent,
        target=400,
    )


def post(
    system: System, path: str, bodies: Sequence[object], *, connections: int, warm: int
) -> tuple[Result, dict[str, float]]:
    port = urlsplit(system.base_url).port or 80
    file = system.var_dir / "mails.bin"
    key = system.facts["api_key"]
    write_requests(file, [_request(path, body, port=port, key=key) for body in bodies])

    def run(first: int, count: int, connections: int) -> Result:
        job = Job(
            port=port,
            requests=str(file),
            first=first,
            count=count,
            connections=connections,
            seconds=30,
        )
        return Load(job).result()

    run(0, warm, 4)
    meter = CpuMeter(system.roots)
    result = run(warm, len(bodies) - warm, connections)
    return result, meter.spent() | {"load": result.cpu}


def _request(path: str, body: object, *, port: int, key: str) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
