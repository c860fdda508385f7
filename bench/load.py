"""A closed-loop HTTP load generator with prebuilt requests: `python -m bench.load`.

Reads a `Job` as one JSON line from stdin and writes a `Result` as one JSON line to stdout. The file
of requests has each request after its length in four bytes; each is sent once.
"""

import asyncio
import json
import resource
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import uvloop


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`first` and `count` select requests of the file; the run ends after `seconds` at most."""

    port: int
    requests: str
    first: int
    count: int
    connections: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Latencies in milliseconds, `cpu` in seconds; `seconds` until the last response."""

    answered: int
    seconds: float
    statuses: dict[str, int]
    p50: float
    p99: float
    slowest: float
    cpu: float
    errors: list[str]


def write_requests(path: Path, requests: list[bytes]) -> None:
    with path.open("wb") as file:
        for each in requests:
            file.write(len(each).to_bytes(4, "big") + each)


class _Run:
    def __init__(self, job: Job) -> None:
        requests = _read(Path(job.requests))[job.first : job.first + job.count]
        self.requests = iter(requests)
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.errors: list[str] = []
        self.last = 0.0
        self.deadline = 0.0
        self.busy = 0
        self.finished = asyncio.Event()

    def next(self) -> bytes | None:
        return next(self.requests, None) if time.perf_counter() < self.deadline else None

    def done(self, connection: "_Connection") -> None:
        self.busy -= 1
        if not self.busy:
            self.finished.set()


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class is no subclass

    def send_next(self) -> None:
        request = self._run.next()
        if request is None:
            self._transport.close()
            self._run.done(self)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or len(self._buffer) < end + 4 + _length(self._buffer[:end]):
            return
        run = self._run
        run.last = time.perf_counter()
        run.latencies.append(run.last - self._sent)
        status = self._buffer[9:12].decode()
        run.statuses[status] += 1
        if status[0] != "2" and len(run.errors) < 3:
            run.errors.append(self._buffer[:1000].decode(errors="replace"))
        self._buffer = b""
        self.send_next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._transport.is_closing() or error is not None:
            self._run.errors.append(f"connection lost: {error}")
            self._run.done(self)


def main() -> None:
    job = Job(**json.loads(sys.stdin.readline()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(_send_all(job))
    print(json.dumps(asdict(result)), flush=True)


async def _send_all(job: Job) -> Result:
    run = _Run(job)
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Connection(run), "127.0.0.1", job.port))[1]
        for _ in range(job.connections)
    ]
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    run.deadline, run.busy = started + job.seconds, len(connections)
    for connection in connections:
        connection.send_next()
    await asyncio.wait_for(run.finished.wait(), job.seconds + 30)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _result(run, seconds=run.last - started, cpu=cpu)


def _result(run: _Run, *, seconds: float, cpu: float) -> Result:
    latencies = sorted(run.latencies) or [0.0]

    def percentile(share: float) -> float:
        place = min(len(latencies) - 1, int(len(latencies) * share))
        return round(latencies[place] * 1000, 2)

    return Result(
        answered=len(run.latencies),
        seconds=seconds,
        statuses=dict(run.statuses),
        p50=percentile(0.5),
        p99=percentile(0.99),
        slowest=percentile(1),
        cpu=round(cpu, 3),
        errors=run.errors[:3],
    )


def _read(path: Path) -> list[bytes]:
    data, requests, at = path.read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        requests.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return requests


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def parse_result(line: str) -> Result:
    fields: dict[str, Any] = json.loads(line)
    return Result(**fields)


if __name__ == "__main__":
    main()
