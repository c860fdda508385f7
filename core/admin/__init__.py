"""The admin's index page (`dashboard`), the log of what operators did, and the base classes of all
apps' admins (`base`)."""

from core.admin import dashboard, log_entries

__all__ = ["dashboard", "log_entries"]
