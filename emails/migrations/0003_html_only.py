from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('emails', '0002_soft_bounces_about_the_message'),
    ]

    operations = [
        migrations.AddField(
            model_name='email',
            name='html_only',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
