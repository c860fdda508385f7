"""The operators' pages: customers' endpoints, what is owed to them, and every try at it."""

from webhooks.admin import deliveries, endpoints, recoveries

__all__ = ["deliveries", "endpoints", "recoveries"]
