"""Deleting what is old, in batches small enough to hold no lock for long."""

from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

BATCH = 2000


def forget(rows: "models.QuerySet[Any]", *, column: str, older_than: timedelta) -> int:
    """Delete the rows whose `column` is older than that; needs an index on it."""
    old = rows.filter(**{f"{column}__lt": timezone.now() - older_than}).order_by(column)
    deleted = 0
    while batch := list(old.values_list("pk", flat=True)[:BATCH]):
        # _raw_delete: one statement, no collector; foreign keys decide in the database.
        deleted += rows.model._base_manager.filter(pk__in=batch)._raw_delete("default")
    return deleted
