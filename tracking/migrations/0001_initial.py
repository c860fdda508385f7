import core.db.ids
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Hit",
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
                    "kind",
                    models.CharField(
                        choices=[("open", "Open"), ("click", "Click"), ("trap", "Honeypot")],
                        max_length=10,
                    ),
                ),
                ("email_id", models.UUIDField()),
                ("recipient_id", models.UUIDField(null=True)),
                ("link", models.PositiveIntegerField(default=0)),
                ("links", models.PositiveIntegerField(default=0)),
                ("target", models.CharField(blank=True, max_length=2000)),
                ("user_agent", models.CharField(blank=True, max_length=500)),
                ("network", models.GenericIPAddressField(null=True)),
                (
                    "verdict",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("human", "Human"),
                            ("machine", "Machine"),
                            ("unknown", "Unknown"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reasons", models.JSONField(default=list)),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "hits",
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_attempt_at__isnull", False)),
                        fields=["next_attempt_at"],
                        name="hits_due",
                    ),
                    models.Index(fields=["email_id", "at"], name="hits_of_email"),
                    models.Index(fields=["at"], name="hits_age"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("next_attempt_at__isnull", False), ("verdict", "")),
                            models.Q(
                                models.Q(("verdict", ""), _negated=True),
                                ("next_attempt_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="hits_due_until_classified",
                    )
                ],
            },
        ),
    ]
