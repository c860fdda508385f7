"""(s) A million scheduled mails: the time of a claim, and the rate of accepting mail."""

import json
from collections.abc import Iterator

from bench import mails
from bench.results import FEW, MANY, Figure, claim_figure
from bench.rows import schedule
from bench.sending import post
from bench.system import System, expect

_DUE = 400
_LIMIT = 20
_CLAIMS = 200
_SINGLE = 2_000
_WARM = 100


def with_million_scheduled(system: System) -> Iterator[Figure]:
    """Claiming and accepting with few and with many scheduled mails, of which few are due."""
    before: list[float] = []
    for count in (FEW, MANY):
        system.empty()
        schedule(system, count=count, due=_DUE)
        expect(system, "SELECT count(*) FROM emails WHERE status = 'scheduled'", count)
        system.vacuum()
        times = json.loads(system.run("bench.mail_claims", str(_LIMIT), str(_CLAIMS)))
        name = f"claims of {_LIMIT}, {count:,} scheduled, {_DUE} due"
        yield claim_figure("s", name, times, before)
        yield _accepted(system, count=count)
        before = times
    system.empty()


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
