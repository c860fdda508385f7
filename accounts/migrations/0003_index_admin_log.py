from django.db import migrations


class Migration(migrations.Migration):
    """The history on an object's page; Django indexes the log by user and type only."""

    atomic = False  # for CONCURRENTLY

    dependencies = [
        ("accounts", "0002_name_for_operators"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX CONCURRENTLY admin_log_of_object"
            " ON django_admin_log (object_id, action_time DESC)",
            "DROP INDEX CONCURRENTLY admin_log_of_object",
        ),
    ]
