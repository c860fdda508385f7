"""The id of the current request. Rows store it, so the workers' logs carry it too."""

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
