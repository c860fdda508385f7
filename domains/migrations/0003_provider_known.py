from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_ciphertext"),
        ("domains", "0002_provider_and_tracking"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.CheckConstraint(
                condition=models.Q(("provider__in", ["", "ses", "smtp"])),
                name="domains_provider_known",
            ),
        ),
    ]
