from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('emails', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='email',
            name='html_only',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
