from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("emails", "0003_html_only"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="emailattachment",
            options={"verbose_name": "attachment"},
        ),
        migrations.AlterModelOptions(
            name="emailrecipient",
            options={"verbose_name": "recipient"},
        ),
    ]
