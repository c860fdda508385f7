"""The admin's index page (`dashboard`) and the base classes of all apps' admins (`base`)."""

from core.admin import dashboard

__all__ = ["dashboard"]
