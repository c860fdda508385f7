"""The id of the request that work is done for; it follows rows into the workers' logs."""

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
