"""Rules of the product that can be broken, as exceptions; `core.api` answers callers with them."""

from typing import Any


class DomainError(Exception):
    """A rule of the product was broken. Subclass it; name and message are shown to callers."""

    name: str = "validation_error"
    status: int = 422
    headers: dict[str, str] = {}

    def __init__(self, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ValidationFailed(DomainError):
    """Fields of the request are wrong. `fields` maps each field's path to what is wrong with it."""

    def __init__(self, fields: dict[str, str], *, name: str = "validation_error") -> None:
        summary = "; ".join(f"`{path}`: {problem}" for path, problem in fields.items())
        super().__init__(summary, details={"fields": fields})
        self.name = name


class UnsupportedField(DomainError):
    name = "unsupported_field"


class NotFound(DomainError):
    name = "not_found"
    status = 404


class Conflict(DomainError):
    name = "conflict"
    status = 409


class PayloadTooLarge(DomainError):
    name = "payload_too_large"
    status = 413


class StorageUnavailable(DomainError):
    """Database, disk or blobs can't be read or written at the moment; a retry may succeed."""

    name = "storage_unavailable"
    status = 503
    headers = {"retry-after": "5"}
