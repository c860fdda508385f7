import core.db.ids
import core.security.crypto
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Workspace",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("rate_limit", models.PositiveIntegerField(blank=True, null=True)),
                ("rate_burst", models.PositiveIntegerField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "workspaces",
            },
        ),
        migrations.CreateModel(
            name="IdempotencyRecord",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("route", models.CharField(max_length=200)),
                ("key", models.CharField(max_length=256)),
                ("fingerprint", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField()),
                ("encrypted_body", core.security.crypto.CiphertextField()),
                ("unfinished_until", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
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
                "db_table": "idempotency_records",
                "indexes": [models.Index(fields=["created_at"], name="idempotency_records_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "route", "key"), name="idempotency_records_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("prefix", models.CharField(editable=False, max_length=16)),
                (
                    "permission",
                    models.CharField(
                        choices=[
                            ("full_access", "Full Access"),
                            ("sending_access", "Sending Access"),
                        ],
                        default="full_access",
                        max_length=20,
                    ),
                ),
                ("domain_id", models.UUIDField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(editable=False, null=True)),
                ("revoked_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_keys",
                        to="accounts.workspace",
                    ),
                ),
            ],
            options={
                "db_table": "api_keys",
                "indexes": [models.Index(fields=["workspace", "-id"], name="api_keys_newest")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("permission__in", ["full_access", "sending_access"])),
                        name="api_keys_permission_known",
                    )
                ],
            },
        ),
    ]
