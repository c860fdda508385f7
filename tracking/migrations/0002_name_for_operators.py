from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("tracking", "0001_initial"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="hit",
            options={"verbose_name": "open or click", "verbose_name_plural": "opens and clicks"},
        ),
    ]
