"""What belongs to an endpoint goes with it, inside the database."""

from django.db import migrations

CASCADES = [
    ("webhook_paces", "endpoint_id", "webhook_endpoints"),
    ("webhook_endpoint_hours", "endpoint_id", "webhook_endpoints"),
    ("webhook_recoveries", "endpoint_id", "webhook_endpoints"),
]


def _constraints(schema_editor, action):
    for table, column, target in CASCADES:
        with schema_editor.connection.cursor() as cursor:
            found = schema_editor.connection.introspection.get_constraints(cursor, table)
        for name, constraint in found.items():
            if constraint["columns"] == [column] and constraint["foreign_key"]:
                schema_editor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
                schema_editor.execute(
                    f'ALTER TABLE {table} ADD CONSTRAINT "{name}" FOREIGN KEY ({column})'
                    f" REFERENCES {target} (id) ON DELETE {action} DEFERRABLE INITIALLY DEFERRED"
                )


def cascade(apps, schema_editor):
    _constraints(schema_editor, "CASCADE")


def plain(apps, schema_editor):
    _constraints(schema_editor, "NO ACTION")


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0003_complete_endpoints")]

    operations = [migrations.RunPython(cascade, plain)]
