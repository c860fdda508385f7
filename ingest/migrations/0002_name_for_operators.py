from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("ingest", "0001_initial"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="providerevent",
            options={"verbose_name": "provider callback"},
        ),
    ]
