import core.db.ids
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

from core.db.migration_operations import VacuumEagerly


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "next_attempt_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        editable=False,
                        null=True,
                    ),
                ),
                ("claims", models.PositiveIntegerField(default=0, editable=False)),
                ("crashes", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("type", models.CharField(max_length=50)),
                ("body", models.TextField()),
                ("request_id", models.CharField(blank=True, max_length=128)),
                ("domain_id", models.UUIDField(null=True)),
                ("pod_id", models.UUIDField(null=True)),
                ("inbox_id", models.UUIDField(null=True)),
                (
                    "pending",
                    models.JSONField(
                        db_default=models.Value([], models.JSONField()),
                        default=list,
                        editable=False,
                    ),
                ),
                (
                    "failed_attempts",
                    models.PositiveSmallIntegerField(db_default=0, default=0, editable=False),
                ),
                ("last_error", models.TextField(blank=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.workspace",
                    ),
                ),
            ],
            options={
                "db_table": "events",
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_attempt_at__isnull", False)),
                        fields=["next_attempt_at"],
                        name="events_due",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("next_attempt_at", None), models.Q(("pending", []), _negated=True)
                        ),
                        fields=["id"],
                        name="events_dead_lettered",
                    ),
                    models.Index(fields=["workspace", "-id"], name="events_newest"),
                    models.Index(fields=["created_at"], name="events_age"),
                ],
            },
        ),
        VacuumEagerly("event"),
    ]
