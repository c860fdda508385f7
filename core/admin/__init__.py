"""The admin's index page (`dashboard`), failed logins, the log of what operators did, and the base
classes of all apps' admins (`base`)."""

from core.admin import access_attempts, dashboard, log_entries

__all__ = ["access_attempts", "dashboard", "log_entries"]
