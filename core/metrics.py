"""Metrics counted in the processes. Queue sizes come from the database at scrape time.

With PROMETHEUS_MULTIPROC_DIR every process writes files that any web process of the host reads,
so that one scrape has the counters of all.
"""

import os
import socket

from prometheus_client import Counter, Histogram, values


def _process() -> str:
    """Processes of different containers may have the same id; two writers would ruin a file."""
    return f"{socket.gethostname()}-{os.getpid()}"


if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    # Before the first metric.
    values.ValueClass = values.MultiProcessValue(_process)  # type: ignore[no-untyped-call]

HTTP_REQUESTS = Counter(
    "opensend_http_requests",
    "HTTP requests by method, route and status",
    ["method", "route", "status"],
)
REDIS_UNAVAILABLE = Counter(
    "opensend_redis_unavailable",
    "Redis calls skipped or failed because it was unavailable",
    ["use"],
)
AUTH_FAILURES = Counter(
    "opensend_auth_failures",
    "Refused API keys and admin passwords; `limited` and `locked` were refused unheard",
    ["kind"],
)
CALLBACKS = Counter("opensend_callbacks", "Provider callbacks by response", ["source", "answer"])
CALLBACKS_PROCESSED = Counter(
    "opensend_callbacks_processed",
    "Provider callbacks processed, by resulting state",
    ["source", "state"],
)
SENDS = Counter("opensend_sends", "Provider calls by outcome", ["provider", "outcome"])
SEND_SECONDS = Histogram("opensend_send_seconds", "Duration of provider calls", ["provider"])
WEBHOOK_ATTEMPTS = Counter("opensend_webhook_attempts", "Webhook attempts by outcome", ["outcome"])
WEBHOOK_SECONDS = Histogram("opensend_webhook_seconds", "Duration of webhook attempts")
HITS_LOST = Counter("opensend_hits_lost", "Opens and clicks that could not be recorded")
