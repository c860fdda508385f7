"""What receiving offers to the floors below (core.hooks)."""

from receiving.event_types import EVENT_TYPES

__all__ = ["EVENT_TYPES"]
