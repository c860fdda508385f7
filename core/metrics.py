"""Counters that the processes keep; what the database can tell is asked of it at scrape time."""

from prometheus_client import Counter, Histogram

HTTP_REQUESTS = Counter(
    "opensend_http_requests", "HTTP requests answered", ["method", "route", "status"]
)
REDIS_UNAVAILABLE = Counter(
    "opensend_redis_unavailable", "Uses of Redis that went without it", ["use"]
)
CALLBACKS = Counter("opensend_callbacks", "Provider callbacks by answer", ["source", "answer"])
CALLBACKS_PROCESSED = Counter(
    "opensend_callbacks_processed", "Provider callbacks turned into facts", ["source", "state"]
)
SENDS = Counter("opensend_sends", "Provider calls by outcome", ["provider", "outcome"])
SEND_SECONDS = Histogram("opensend_send_seconds", "Duration of provider calls", ["provider"])
WEBHOOK_ATTEMPTS = Counter("opensend_webhook_attempts", "Webhook attempts by outcome", ["outcome"])
WEBHOOK_SECONDS = Histogram("opensend_webhook_seconds", "Duration of webhook attempts")
HITS_LOST = Counter("opensend_hits_lost", "Opens and clicks that could not be recorded")
