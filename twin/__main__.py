"""`python -m twin --port 4577 --var-dir var/twin`: serve until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import os
import signal
from pathlib import Path

import uvloop
from aiohttp import web

from twin.app import build_app


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="twin", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4577, help="0 takes any free port")
    parser.add_argument("--var-dir", type=Path, default=Path("var/twin"))
    parser.add_argument("--bucket", action="append", default=[], help="an S3 bucket to begin with")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # A slow client must not hold up the stop: callers cope with a lost answer, by design.
    app = build_app(
        var_dir=arguments.var_dir,
        buckets=tuple(arguments.bucket),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, arguments.host, arguments.port, backlog=1024).start()
        bound_port = runner.addresses[0][1]
        print(f"twin listening on http://{arguments.host}:{bound_port}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    main()
