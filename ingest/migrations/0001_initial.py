import core.db.ids
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

from core.db.migration_operations import VacuumEagerly


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ProviderEvent",
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
                ("source", models.CharField(max_length=30)),
                ("event_id", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("notification", "Notification"),
                            ("control", "control message"),
                            ("subscription_confirmed", "subscription confirmed"),
                            ("unsubscribed", "Unsubscribed"),
                        ],
                        default="notification",
                        max_length=30,
                    ),
                ),
                ("topic_arn", models.CharField(blank=True, max_length=300)),
                ("body", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("received", "Received"),
                            ("processed", "Processed"),
                            ("unmatched", "Unmatched"),
                            ("quarantined", "Quarantined"),
                            ("noted", "Noted"),
                        ],
                        default="received",
                        max_length=20,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("type", models.CharField(blank=True, max_length=40)),
                ("email_id", models.UUIDField(null=True)),
                ("request_id", models.CharField(blank=True, max_length=128)),
                (
                    "received_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("processed_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "db_table": "provider_events",
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_attempt_at__isnull", False)),
                        fields=["source", "next_attempt_at"],
                        name="provider_events_due",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ["unmatched", "quarantined"])),
                        fields=["state", "-id"],
                        name="provider_events_failed",
                    ),
                    models.Index(
                        condition=models.Q(("kind", "notification"), _negated=True),
                        fields=["kind", "-id"],
                        name="provider_events_control",
                    ),
                    models.Index(
                        condition=models.Q(("email_id__isnull", False)),
                        fields=["email_id"],
                        name="provider_events_of_email",
                    ),
                    models.Index(fields=["received_at"], name="provider_events_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "event_id"), name="provider_events_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["received", "unmatched"]),
                            models.Q(
                                ("next_attempt_at__isnull", True),
                                ("state__in", ["processed", "quarantined", "noted"]),
                            ),
                            _connector="OR",
                        ),
                        name="provider_events_due_only_if_open",
                    ),
                ],
            },
        ),
        VacuumEagerly("providerevent"),
    ]
