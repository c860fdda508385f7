"""Free the space of forgotten and rewritten deliveries before the tables grow.

A delivery is rewritten twice, at its claim and at its result, and each time in a new place:
`status` and `next_attempt_at` are what its indexes are about, so no fillfactor would help. With
PostgreSQL's own threshold a fifth of a table is dead before anybody looks. Not lower than a
twentieth, because each look may read all indexes. Endpoints, their buckets and hours are
rewritten in place and need nothing.
"""

from django.db import migrations

TABLES = ["webhook_deliveries", "webhook_attempts"]
SETTINGS = {
    "autovacuum_vacuum_scale_factor": "0.05",
    # Deliveries that are open are few or very many, and plans depend on it.
    "autovacuum_analyze_scale_factor": "0.05",
    # At thousands of rows a second a vacuum that takes pauses never comes to its end.
    "autovacuum_vacuum_cost_delay": "0",
}
SET = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0004_cascade_further")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET ({SET})", f"ALTER TABLE {table} RESET ({', '.join(SETTINGS)})"
        )
        for table in TABLES
    ]
