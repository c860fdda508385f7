"""The old path of the building blocks, for payload models that have not moved to their app yet."""

from events.payloads import UUID_PATTERN, Absent, Id, Payload, ProviderObject, Time

__all__ = ["UUID_PATTERN", "Absent", "Id", "Payload", "ProviderObject", "Time"]
