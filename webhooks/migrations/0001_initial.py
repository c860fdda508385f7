import core.db.ids
import core.security.crypto
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

from core.db.migration_operations import CascadeInDatabase, VacuumEagerly


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        ("events", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("url", models.CharField(max_length=2048)),
                ("description", models.CharField(blank=True, max_length=500)),
                (
                    "event_types",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=50), size=None
                    ),
                ),
                (
                    "domain_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, size=None
                    ),
                ),
                (
                    "pod_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, size=None
                    ),
                ),
                (
                    "inbox_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, size=None
                    ),
                ),
                (
                    "encrypted_headers",
                    core.security.crypto.CiphertextField(blank=True, editable=False),
                ),
                (
                    "header_names",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100), default=list, size=None
                    ),
                ),
                ("rate_limit", models.PositiveSmallIntegerField(null=True)),
                ("encrypted_keyring", core.security.crypto.CiphertextField(editable=False)),
                ("public_key", models.CharField(blank=True, editable=False, max_length=60)),
                (
                    "status",
                    models.CharField(
                        choices=[("enabled", "Enabled"), ("disabled", "Disabled")],
                        default="enabled",
                        max_length=10,
                    ),
                ),
                ("disabled_reason", models.CharField(blank=True, max_length=200)),
                ("disabled_at", models.DateTimeField(editable=False, null=True)),
                ("failures_in_a_row", models.PositiveIntegerField(default=0, editable=False)),
                ("failing_since", models.DateTimeField(editable=False, null=True)),
                ("failing_notified_at", models.DateTimeField(editable=False, null=True)),
                ("probe_at", models.DateTimeField(editable=False, null=True)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
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
                "db_table": "webhook_endpoints",
            },
        ),
        migrations.CreateModel(
            name="Delivery",
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
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("attempting", "Attempting"),
                            ("success", "Success"),
                            ("failed", "Failed"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                (
                    "attempts_before_replay",
                    models.PositiveSmallIntegerField(db_default=0, default=0),
                ),
                ("last_status_code", models.PositiveSmallIntegerField(null=True)),
                ("last_error", models.CharField(blank=True, max_length=50)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="events.event",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "db_table": "webhook_deliveries",
            },
        ),
        migrations.CreateModel(
            name="EndpointRateLimit",
            fields=[
                (
                    "endpoint",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="rate_bucket",
                        serialize=False,
                        to="webhooks.endpoint",
                    ),
                ),
                ("rate", models.PositiveSmallIntegerField()),
                ("tokens", models.FloatField()),
                (
                    "filled_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "webhook_rate_limits",
            },
        ),
        migrations.CreateModel(
            name="EndpointHour",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("succeeded", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("total_ms", models.PositiveBigIntegerField(default=0)),
                ("slowest_ms", models.PositiveIntegerField(default=0)),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hours",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
            options={
                "db_table": "webhook_endpoint_hours",
            },
        ),
        migrations.CreateModel(
            name="Recovery",
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
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                (
                    "only",
                    models.CharField(choices=[("failed", "Failed"), ("all", "All")], max_length=10),
                ),
                ("reached", models.UUIDField(null=True)),
                ("recovered", models.PositiveIntegerField(default=0)),
                ("last_error", models.CharField(blank=True, max_length=200)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recoveries",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "recoveries",
                "db_table": "webhook_recoveries",
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveSmallIntegerField()),
                ("status_code", models.PositiveSmallIntegerField(null=True)),
                ("error", models.CharField(blank=True, max_length=50)),
                ("message", models.CharField(blank=True, max_length=500)),
                ("response", models.CharField(blank=True, max_length=1000)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("duration_ms", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                (
                    "delivery",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempt_rows",
                        to="webhooks.delivery",
                    ),
                ),
            ],
            options={
                "db_table": "webhook_attempts",
                "indexes": [
                    models.Index(fields=["delivery", "-id"], name="webhook_attempts_of"),
                    models.Index(fields=["at"], name="webhook_attempts_age"),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="endpoint",
            index=models.Index(fields=["workspace", "-id"], name="webhook_endpoints_newest"),
        ),
        migrations.AddIndex(
            model_name="endpoint",
            index=models.Index(
                condition=models.Q(("status", "disabled")),
                fields=["id"],
                name="webhook_endpoints_disabled",
            ),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["enabled", "disabled"])),
                name="webhook_endpoints_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("rate_limit", None), ("rate_limit__gte", 1), _connector="OR"),
                name="webhook_endpoints_rate_limit_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("deleted_at", None), ("status", "disabled"), _connector="OR"),
                name="webhook_endpoints_deleted_is_disabled",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("next_attempt_at__isnull", False)),
                fields=["endpoint", "next_attempt_at"],
                name="webhook_deliveries_due",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("status", "attempting")),
                fields=["endpoint"],
                name="webhook_deliveries_in_flight",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("last_error", ""), _negated=True),
                fields=["endpoint", "-event"],
                name="webhook_deliveries_failing",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(
                fields=("endpoint", "event"), name="webhook_deliveries_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("next_attempt_at__isnull", False),
                        ("status__in", ["pending", "attempting"]),
                    ),
                    models.Q(
                        ("next_attempt_at__isnull", True), ("status__in", ["success", "failed"])
                    ),
                    _connector="OR",
                ),
                name="webhook_deliveries_due_iff_open",
            ),
        ),
        migrations.AddIndex(
            model_name="endpointhour",
            index=models.Index(fields=["hour"], name="webhook_endpoint_hours_age"),
        ),
        migrations.AddConstraint(
            model_name="endpointhour",
            constraint=models.UniqueConstraint(
                fields=("endpoint", "hour"), name="webhook_endpoint_hours_once"
            ),
        ),
        migrations.AddIndex(
            model_name="recovery",
            index=models.Index(
                condition=models.Q(("next_attempt_at__isnull", False)),
                fields=["next_attempt_at"],
                name="webhook_recoveries_due",
            ),
        ),
        migrations.AddIndex(
            model_name="recovery",
            index=models.Index(fields=["endpoint", "-id"], name="webhook_recoveries_of"),
        ),
        migrations.AddConstraint(
            model_name="recovery",
            constraint=models.CheckConstraint(
                condition=models.Q(("only__in", ["failed", "all"])),
                name="webhook_recoveries_only_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="recovery",
            constraint=models.CheckConstraint(
                condition=models.Q(("since__lt", models.F("until"))), name="webhook_recoveries_span"
            ),
        ),
        CascadeInDatabase("delivery", "endpoint", "event"),
        CascadeInDatabase("attempt", "delivery"),
        CascadeInDatabase("endpointratelimit", "endpoint"),
        CascadeInDatabase("endpointhour", "endpoint"),
        CascadeInDatabase("recovery", "endpoint"),
        VacuumEagerly("delivery"),
        VacuumEagerly("attempt"),
    ]
