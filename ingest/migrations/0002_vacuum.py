"""Free the space of forgotten callbacks before the table grows.

Each callback is rewritten twice with its body, when it is claimed and when it was understood,
and always in a new place, because its indexes are about what changes. With PostgreSQL's own
threshold a fifth of the table is dead before anybody looks; and a vacuum that takes pauses does
not keep up with thousands of rows a second.
"""

from django.db import migrations

SETTINGS = {
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_delay": "0",
}
SET = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())


class Migration(migrations.Migration):
    dependencies = [("ingest", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE provider_events SET ({SET})", f"ALTER TABLE provider_events RESET ({', '.join(SETTINGS)})"
        ),
    ]
