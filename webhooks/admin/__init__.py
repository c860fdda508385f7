"""Admin pages for endpoints, deliveries, attempts and recoveries."""

from webhooks.admin import deliveries, endpoints, recoveries

__all__ = ["deliveries", "endpoints", "recoveries"]
