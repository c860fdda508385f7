"""Content and whole emails can be purged; nothing is locked for longer than a moment."""

import django.db.models.functions.comparison
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models

from core.db.migration_operations import CascadeInDatabase

_AGE_FROM = django.db.models.functions.comparison.Coalesce("sent_at", "created_at")
_FINAL = models.Q(("next_attempt_at", None), models.Q(("status", "unknown"), _negated=True))


class Migration(migrations.Migration):
    atomic = False  # for CREATE INDEX CONCURRENTLY

    dependencies = [
        ("emails", "0004_name_for_operators"),
    ]

    operations = [
        migrations.AddField(
            model_name="email",
            name="content_purged_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.RemoveConstraint(model_name="email", name="emails_has_content"),
        AddConstraintNotValid(
            model_name="email",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("content_purged_at", None),
                        models.Q(("html", ""), ("text", ""), _negated=True),
                    ),
                    models.Q(("content_purged_at__isnull", False), ("next_attempt_at", None)),
                    _connector="OR",
                ),
                name="emails_has_content",
            ),
        ),
        ValidateConstraint(model_name="email", name="emails_has_content"),
        AddIndexConcurrently(
            model_name="email",
            index=models.Index(
                _AGE_FROM,
                condition=_FINAL & models.Q(("content_purged_at", None)),
                name="emails_content_age",
            ),
        ),
        AddIndexConcurrently(
            model_name="email",
            index=models.Index(
                _AGE_FROM,
                condition=_FINAL & models.Q(("content_purged_at__isnull", False)),
                name="emails_purged_age",
            ),
        ),
        CascadeInDatabase("emailrecipient", "email"),
        CascadeInDatabase("emailattachment", "email"),
        CascadeInDatabase("emailevent", "email"),
    ]
