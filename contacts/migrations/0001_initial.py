import core.db.ids
import django.db.models.deletion
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
            name="Contact",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("email", models.EmailField(max_length=320)),
                ("first_name", models.CharField(blank=True, max_length=200)),
                ("last_name", models.CharField(blank=True, max_length=200)),
                ("unsubscribed", models.BooleanField(default=False)),
                (
                    "properties",
                    models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict),
                ),
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
                "db_table": "contacts",
                "indexes": [models.Index(fields=["workspace", "-id"], name="contacts_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("workspace"),
                        django.db.models.functions.text.Lower("email"),
                        name="contacts_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Suppression",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.db.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("email", models.CharField(max_length=320)),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("unsubscribed", "Unsubscribed"),
                            ("soft_bounces", "Soft Bounces"),
                            ("bounce", "Bounce"),
                            ("complaint", "Complaint"),
                            ("manual", "Manual"),
                        ],
                        max_length=20,
                    ),
                ),
                ("email_id", models.UUIDField(blank=True, editable=False, null=True)),
                ("event_id", models.UUIDField(blank=True, editable=False, null=True)),
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
                "db_table": "suppressions",
                "indexes": [
                    models.Index(
                        fields=["workspace", "-id", "created_at"], name="suppressions_newest"
                    ),
                    models.Index(
                        fields=["workspace", "origin", "-id", "created_at"],
                        name="suppressions_by_origin",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "email"), name="suppressions_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("email", django.db.models.functions.text.Lower("email"))
                        ),
                        name="suppressions_email_lower",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "origin__in",
                                ["unsubscribed", "soft_bounces", "bounce", "complaint", "manual"],
                            )
                        ),
                        name="suppressions_origin_known",
                    ),
                ],
            },
        ),
    ]
