"""The admin's overview, and what the pages of all apps share (`base`)."""

from core.admin import dashboard

__all__ = ["dashboard"]
