"""`python -m bench [part ...]`: measure, print a table, write `var/bench/results.json`.

Exits with 1 if a part did not finish or a figure missed its limit.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench import (
    attacks,
    callbacks,
    isolation,
    million,
    results,
    retention,
    scheduled,
    sending,
    sources,
    webhooks,
)
from bench.results import Figure
from bench.system import System, TimedOut, remove_external_settings

PARTS: dict[str, Callable[[System], Iterator[Figure]]] = {
    "a": callbacks.accepted,
    "b": callbacks.processed,
    "c": webhooks.delivered,
    "d": sending.accepted,
    "e": sending.sent,
    "g": sources.beside_another_source,
    "i": isolation.isolated,
    "m": million.with_million_pending,
    "r": retention.constant_load,
    "s": scheduled.with_million_scheduled,
    "u": attacks.under_attack,
}


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    remove_external_settings()
    var_dir: Path = arguments.var_dir.resolve()
    var_dir.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    failed: list[str] = []
    with (var_dir / "bench.log").open("wb") as log:
        system = System(var_dir, log)
        try:
            print(f"Starting; processes log to {log.name}", flush=True)
            system.start()
            for part in arguments.parts or PARTS:
                system.empty()
                try:
                    for figure in PARTS[part](system):
                        figures.append(figure)
                        print(results.line(figure), flush=True)
                        if figure.missed:
                            failed.append(part)
                except TimedOut as error:
                    failed.append(part)
                    print(f"{part}  not finished: {error}", flush=True)
        except KeyboardInterrupt:
            return 130
        finally:
            system.stop()
            command = " ".join(["python -m bench", *arguments.parts])
            results.write(var_dir / "results.json", figures, command=command)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part")
    parser.add_argument("--var-dir", type=Path, default=Path("var/bench"))
    return parser.parse_args()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
