from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("emails", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="emailevent",
            name="counts_against_address",
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]
