import core.db.ids
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="SendRate",
            fields=[
                ("name", models.CharField(max_length=30, primary_key=True, serialize=False)),
                ("max_rate", models.FloatField()),
                ("daily_quota", models.FloatField(null=True)),
                ("sent_24h", models.FloatField(db_default=0, default=0)),
                ("sent_since", models.FloatField(db_default=0, default=0)),
                ("tokens", models.FloatField(db_default=0, default=0)),
                (
                    "filled_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("factor", models.FloatField(db_default=1, default=1)),
                (
                    "factor_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("calls", models.FloatField(db_default=0, default=0)),
                ("throttled", models.FloatField(db_default=0, default=0)),
                ("throttled_at", models.DateTimeField(null=True)),
                (
                    "refresh_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("refreshed_at", models.DateTimeField(null=True)),
                ("paused_until", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "send_rates",
            },
        ),
        migrations.CreateModel(
            name="Email",
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
                ("domain_id", models.UUIDField(null=True)),
                ("provider", models.CharField(db_default="ses", default="ses", max_length=10)),
                ("region", models.CharField(max_length=30)),
                ("configuration_set", models.CharField(blank=True, max_length=64)),
                ("is_batch", models.BooleanField(db_default=False, default=False)),
                ("sender", models.CharField(max_length=700)),
                (
                    "to",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=700), size=None
                    ),
                ),
                (
                    "cc",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=700), default=list, size=None
                    ),
                ),
                (
                    "bcc",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=700), default=list, size=None
                    ),
                ),
                (
                    "reply_to",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=700), default=list, size=None
                    ),
                ),
                ("subject", models.CharField(max_length=998)),
                ("html", models.TextField(blank=True)),
                ("text", models.TextField(blank=True)),
                ("headers", models.JSONField(default=dict)),
                ("tags", models.JSONField(default=dict)),
                ("attachment_count", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("open_tracking", models.BooleanField(db_default=False, default=False)),
                ("click_tracking", models.BooleanField(db_default=False, default=False)),
                ("unsubscribe", models.BooleanField(db_default=False, default=False)),
                ("owner", models.CharField(blank=True, db_default="", default="", max_length=100)),
                (
                    "hold_reason",
                    models.CharField(blank=True, db_default="", default="", max_length=200),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("scheduled", "Scheduled"),
                            ("queued", "Queued"),
                            ("held", "Held"),
                            ("sending", "Sending"),
                            ("unknown", "Unknown"),
                            ("sent", "Sent"),
                            ("delivered", "Delivered"),
                            ("delivery_delayed", "Delivery Delayed"),
                            ("soft_bounced", "Soft Bounced"),
                            ("bounced", "Bounced"),
                            ("complained", "Complained"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("suppressed", "Suppressed"),
                        ],
                        default="queued",
                        max_length=20,
                    ),
                ),
                ("last_error", models.TextField(blank=True)),
                ("provider_message_id", models.CharField(blank=True, max_length=200)),
                ("provider_response", models.TextField(blank=True)),
                ("message_id", models.CharField(max_length=400)),
                ("request_id", models.CharField(blank=True, max_length=128)),
                ("scheduled_at", models.DateTimeField(null=True)),
                ("first_attempt_at", models.DateTimeField(null=True)),
                ("delay_published_at", models.DateTimeField(null=True)),
                ("unknown_since", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("opens", models.PositiveIntegerField(db_default=0, default=0)),
                ("human_opens", models.PositiveIntegerField(db_default=0, default=0)),
                ("clicks", models.PositiveIntegerField(db_default=0, default=0)),
                ("human_clicks", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "api_key",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="accounts.apikey",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.workspace",
                    ),
                ),
            ],
            options={
                "db_table": "emails",
            },
        ),
        migrations.CreateModel(
            name="EmailAttachment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("filename", models.CharField(max_length=255)),
                ("content_type", models.CharField(max_length=255)),
                ("content_id", models.CharField(blank=True, max_length=255)),
                ("size", models.PositiveIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("blob_key", models.CharField(max_length=200)),
                (
                    "email",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attachments",
                        to="emails.email",
                    ),
                ),
            ],
            options={
                "db_table": "email_attachments",
            },
        ),
        migrations.CreateModel(
            name="EmailEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("type", models.CharField(max_length=30)),
                ("recipient", models.CharField(blank=True, max_length=320)),
                ("status", models.CharField(blank=True, max_length=20)),
                ("fingerprint", models.CharField(max_length=64)),
                ("payload", models.JSONField(default=dict)),
                ("occurred_at", models.DateTimeField()),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "email",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="emails.email",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.workspace",
                    ),
                ),
            ],
            options={
                "db_table": "email_events",
            },
        ),
        migrations.CreateModel(
            name="EmailRecipient",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("to", "To"), ("cc", "Cc"), ("bcc", "Bcc")], max_length=3
                    ),
                ),
                ("address", models.CharField(max_length=320)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("scheduled", "Scheduled"),
                            ("queued", "Queued"),
                            ("held", "Held"),
                            ("sending", "Sending"),
                            ("unknown", "Unknown"),
                            ("sent", "Sent"),
                            ("delivered", "Delivered"),
                            ("delivery_delayed", "Delivery Delayed"),
                            ("soft_bounced", "Soft Bounced"),
                            ("bounced", "Bounced"),
                            ("complained", "Complained"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("suppressed", "Suppressed"),
                        ],
                        default="queued",
                        max_length=20,
                    ),
                ),
                ("status_at", models.DateTimeField(null=True)),
                ("detail", models.CharField(blank=True, max_length=1000)),
                (
                    "email",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recipients",
                        to="emails.email",
                    ),
                ),
            ],
            options={
                "db_table": "email_recipients",
            },
        ),
        migrations.AddIndex(
            model_name="email",
            index=models.Index(
                condition=models.Q(
                    ("next_attempt_at__isnull", False), ("status__in", ["queued", "scheduled"])
                ),
                fields=["provider", "region", "is_batch", "workspace", "next_attempt_at"],
                name="emails_due",
            ),
        ),
        migrations.AddIndex(
            model_name="email",
            index=models.Index(
                condition=models.Q(
                    ("next_attempt_at__isnull", False),
                    ("status__in", ["sending", "unknown", "held"]),
                ),
                fields=["next_attempt_at"],
                name="emails_unresolved",
            ),
        ),
        migrations.AddIndex(
            model_name="email",
            index=models.Index(
                condition=models.Q(
                    models.Q(("owner", ""), _negated=True),
                    ("status__in", ["queued", "scheduled", "held"]),
                ),
                fields=["owner", "id"],
                name="emails_unsent_of_owner",
            ),
        ),
        migrations.AddIndex(
            model_name="email",
            index=models.Index(
                condition=models.Q(("provider_message_id", ""), _negated=True),
                fields=["provider_message_id"],
                name="emails_provider_message_id",
            ),
        ),
        migrations.AddIndex(
            model_name="email",
            index=models.Index(fields=["workspace", "-id"], name="emails_newest"),
        ),
        migrations.AddIndex(
            model_name="email",
            index=models.Index(fields=["status", "-id"], name="emails_by_status"),
        ),
        migrations.AddConstraint(
            model_name="email",
            constraint=models.CheckConstraint(
                condition=models.Q(("html", ""), ("text", ""), _negated=True),
                name="emails_has_content",
            ),
        ),
        migrations.AddConstraint(
            model_name="email",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("next_attempt_at__isnull", False),
                        ("status__in", ["scheduled", "queued", "held", "sending"]),
                    ),
                    ("status", "unknown"),
                    models.Q(
                        models.Q(
                            ("status__in", ["scheduled", "queued", "held", "sending", "unknown"]),
                            _negated=True,
                        ),
                        ("next_attempt_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="emails_due_while_pending",
            ),
        ),
        migrations.AddConstraint(
            model_name="emailattachment",
            constraint=models.UniqueConstraint(
                fields=("email", "position"), name="email_attachments_in_order"
            ),
        ),
        migrations.AddIndex(
            model_name="emailevent",
            index=models.Index(
                models.F("workspace"),
                django.db.models.functions.text.Lower("recipient"),
                models.F("occurred_at"),
                condition=models.Q(("status", "soft_bounced")),
                name="email_events_soft_bounces",
            ),
        ),
        migrations.AddConstraint(
            model_name="emailevent",
            constraint=models.UniqueConstraint(
                fields=("email", "fingerprint"), name="email_events_once"
            ),
        ),
        migrations.AddIndex(
            model_name="emailrecipient",
            index=models.Index(fields=["address", "-id"], name="email_recipients_of"),
        ),
        migrations.AddConstraint(
            model_name="emailrecipient",
            constraint=models.UniqueConstraint(
                fields=("email", "address"), name="email_recipients_once"
            ),
        ),
    ]
