"""`python -m opensend.web`: the web processes, as every installation starts them.

WEB_WORKERS processes share the port and are started again when they die.
"""

import argparse
import os
import resource
import signal
from importlib import import_module

import django
from django.conf import settings
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

APPLICATION = "opensend.asgi:application"

# Open connections per process, silent and idle ones included: one costs a few kilobytes. Granian
# calls this backpressure, and accepts no more than that.
CONNECTIONS = 16_384
# Files, and connections to PostgreSQL, Redis and others, besides those of clients.
OTHER_FILES = 512
BACKLOG = 4096
# For the head of a request to be complete, and for an idle connection until it is closed.
HEAD_MILLISECONDS = 30_000
MAX_HEAD_BYTES = 64 * 1024
# For requests in progress when the server is stopped: calls to AWS and to customers take 15 s.
STOP_SECONDS = 25


def server(*, host: str, port: int, target: str = APPLICATION) -> MPServer:
    os.register_at_fork(after_in_child=_stop_on_signals)
    return MPServer(
        target,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        # HTTP/2 comes through the proxy. Without it, a connection that sends nothing is closed.
        http=HTTPModes.http1,
        websockets=False,
        workers=settings.WEB_WORKERS,
        backlog=BACKLOG,
        backpressure=min(CONNECTIONS, raise_file_limit() - OTHER_FILES),
        http1_settings=HTTP1Settings(
            header_read_timeout=HEAD_MILLISECONDS, max_buffer_size=MAX_HEAD_BYTES
        ),
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=STOP_SECONDS,
    )


def _stop_on_signals() -> None:
    """A forked process inherits handlers that note a signal for the parent, until it has its own.

    A stop that came while it was starting would wait for STOP_SECONDS.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def raise_file_limit() -> int:
    """Let this process open as many files as it needs, or as the system allows; how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    limit = wanted if most == resource.RLIM_INFINITY else min(most, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
    return limit


def main() -> None:
    parser = argparse.ArgumentParser(prog="opensend.web", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opensend.settings")
    django.setup()
    # Here and not only in each process: one that fails at its start would be started for ever.
    import_module("opensend.checks").require_valid_settings()
    server(host=arguments.host, port=arguments.port).serve()


if __name__ == "__main__":
    main()
