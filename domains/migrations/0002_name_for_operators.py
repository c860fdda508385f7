from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("domains", "0001_initial"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="dnsrecord",
            options={"verbose_name": "DNS record"},
        ),
    ]
