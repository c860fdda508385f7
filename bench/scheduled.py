"""(s) A million mails scheduled: what a claim takes then, and what accepting mail does."""

import json
import statistics
from collections.abc import Iterator

from bench import mails
from bench.results import Figure
from bench.rows import schedule
from bench.sending import post
from bench.system import System, expect

_FEW, _MANY = 1_000, 1_000_000
_DUE = 400
_LIMIT = 20
_CLAIMS = 200
_SINGLE = 2_000
_WARM = 100
_SLOWER = 2.0  # times that the p95 of a claim may grow


def kept_flat(system: System) -> Iterator[Figure]:
    """Claims and accepting with few and with very many scheduled, of which few are due."""
    before: list[float] = []
    for count in (_FEW, _MANY):
        system.empty()
        schedule(system, count=count, due=_DUE)
        expect(system, "SELECT count(*) FROM emails WHERE status = 'scheduled'", count)
        system.vacuum()
        times = json.loads(system.run("bench.mail_claims", str(_LIMIT), str(_CLAIMS)))
        yield _claims(times, before, count=count)
        yield _accepted(system, count=count)
        before = times
    system.empty()


def _claims(times: list[float], before: list[float], *, count: int) -> Figure:
    ratio = _p95(times) / _p95(before) if before else 0.0
    return Figure(
        part="s",
        name=f"claims of {_LIMIT}, {count:,} scheduled, {_DUE} due",
        operations=len(times),
        seconds=sum(times) / 1000,
        cpu={},
        p50=statistics.median(times),
        p95=_p95(times),
        slowest=max(times),
        notes={f"p95 against {_FEW:,}": f"{ratio:.2f} (at most {_SLOWER:g})"} if before else {},
        missed=f"the p95 is {ratio:.2f} times that at {_FEW:,}" if ratio > _SLOWER else "",
    )


def _accepted(system: System, *, count: int) -> Figure:
    bodies = [mails.api_body(number) for number in range(_WARM + _SINGLE)]
    result, spent = post(system, "/emails", bodies, connections=32, warm=_WARM)
    return Figure(
        part="s",
        name=f"mails accepted, {count:,} scheduled",
        operations=result.answered,
        seconds=result.seconds,
        cpu=spent,
        target=600,
        p50=result.p50,
        p99=result.p99,
    )


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]
