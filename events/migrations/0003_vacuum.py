"""Free the space of forgotten events before the table grows.

Each event is rewritten twice with its body, when it is claimed and when it was heard, and
`next_attempt_at` is what its indexes are about, so always in a new place. With PostgreSQL's own
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
    dependencies = [("events", "0002_what_events_are_about")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE events SET ({SET})", f"ALTER TABLE events RESET ({', '.join(SETTINGS)})"
        ),
    ]
