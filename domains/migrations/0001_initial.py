import core.db.ids
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Domain",
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
                ("name", models.CharField(max_length=253, unique=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("not_started", "Not Started"),
                            ("pending", "Pending"),
                            ("verified", "Verified"),
                            ("temporary_failure", "Temporary Failure"),
                            ("failed", "Failed"),
                        ],
                        default="not_started",
                        max_length=20,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("region", models.CharField(max_length=30)),
                ("sending", models.BooleanField(default=True)),
                ("receiving", models.BooleanField(default=False)),
                (
                    "provider",
                    models.CharField(blank=True, db_default="", default="", max_length=10),
                ),
                ("open_tracking", models.BooleanField(db_default=False, default=False)),
                ("click_tracking", models.BooleanField(db_default=False, default=False)),
                (
                    "dkim_tokens",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("ses_configuration_set_name", models.CharField(blank=True, max_length=64)),
                ("checks", models.PositiveIntegerField(default=0, editable=False)),
                ("verified_at", models.DateTimeField(editable=False, null=True)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="domains",
                        to="accounts.workspace",
                    ),
                ),
            ],
            options={
                "db_table": "domains",
            },
        ),
        migrations.CreateModel(
            name="DnsRecord",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("purpose", models.CharField(choices=[("DKIM", "Dkim")], max_length=10)),
                ("name", models.CharField(max_length=320)),
                ("type", models.CharField(max_length=10)),
                ("value", models.TextField()),
                ("ttl", models.CharField(default="Auto", max_length=10)),
                ("priority", models.PositiveSmallIntegerField(null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("not_started", "Not Started"),
                            ("pending", "Pending"),
                            ("verified", "Verified"),
                            ("temporary_failure", "Temporary Failure"),
                            ("failed", "Failed"),
                        ],
                        default="not_started",
                        max_length=20,
                    ),
                ),
                (
                    "domain",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="records",
                        to="domains.domain",
                    ),
                ),
            ],
            options={
                "db_table": "dns_records",
            },
        ),
        migrations.AddIndex(
            model_name="domain",
            index=models.Index(
                condition=models.Q(("next_attempt_at__isnull", False)),
                fields=["next_attempt_at"],
                name="domains_due",
            ),
        ),
        migrations.AddIndex(
            model_name="domain",
            index=models.Index(fields=["workspace", "-id"], name="domains_newest"),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        ["not_started", "pending", "verified", "temporary_failure", "failed"],
                    )
                ),
                name="domains_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.CheckConstraint(
                condition=models.Q(("provider__in", ["", "ses", "smtp"])),
                name="domains_provider_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="dnsrecord",
            constraint=models.UniqueConstraint(
                fields=("domain", "purpose", "name", "type"), name="dns_records_once"
            ),
        ),
    ]
