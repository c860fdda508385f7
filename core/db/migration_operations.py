"""Migration operations for PostgreSQL features that Django's migrations do not cover."""

from typing import Any

from django.db.migrations.operations.base import Operation

# At most a twentieth of a busy queue's rows are dead, and VACUUM runs without cost delay: with
# pauses it would never finish at thousands of rows per second.
_BUSY = {
    "autovacuum_vacuum_scale_factor": "0.05",
    # The number of due rows varies from few to very many, and plans depend on it.
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_delay": "0",
}

# Django generates the constraint's name, so look it up.
_ON_DELETE = """
DO $$
DECLARE fk text;
BEGIN
    SELECT conname INTO STRICT fk FROM pg_constraint
     WHERE contype = 'f' AND conrelid = '{table}'::regclass AND conkey = ARRAY[
           (SELECT attnum FROM pg_attribute
             WHERE attrelid = '{table}'::regclass AND attname = '{column}')];
    EXECUTE format('ALTER TABLE "{table}" DROP CONSTRAINT %I, ADD CONSTRAINT %I'
        ' FOREIGN KEY ("{column}") REFERENCES "{target}" ON DELETE {action}'
        ' DEFERRABLE INITIALLY DEFERRED', fk, fk);
END $$
"""


class _OnTable(Operation):
    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The model state does not change."""

    def _model(self, app_label: str, state: Any) -> Any:
        return state.apps.get_model(app_label, self.model_name)


class CascadeInDatabase(_OnTable):
    """Sets ON DELETE CASCADE on these foreign keys, so PostgreSQL deletes the dependent rows.

    Django's own cascade loads every row first.
    """

    def __init__(self, model_name: str, *fields: str) -> None:
        super().__init__(model_name)
        self.fields = fields

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, *self.fields], {}

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._alter(schema_editor, self._model(app_label, to_state), "CASCADE")

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._alter(schema_editor, self._model(app_label, to_state), "NO ACTION")

    def describe(self) -> str:
        return f"Cascade deletes to {self.model_name} in the database"

    def _alter(self, schema_editor: Any, model: Any, action: str) -> None:
        for name in self.fields:
            field = model._meta.get_field(name)
            statement = _ON_DELETE.format(
                table=model._meta.db_table,
                column=field.column,
                target=field.related_model._meta.db_table,
                action=action,
            )
            # Django adds the foreign keys of a new table at the end of the migration.
            schema_editor.deferred_sql.append(statement)


class VacuumEagerly(_OnTable):
    """For tables whose rows are updated or deleted as fast as they are inserted."""

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name], {}

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        values = ", ".join(f"{name} = {value}" for name, value in _BUSY.items())
        self._alter(schema_editor, self._model(app_label, to_state), f"SET ({values})")

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._alter(schema_editor, self._model(app_label, to_state), f"RESET ({', '.join(_BUSY)})")

    def describe(self) -> str:
        return f"Vacuum {self.model_name} at 5% dead rows"

    def _alter(self, schema_editor: Any, model: Any, change: str) -> None:
        schema_editor.execute(f'ALTER TABLE "{model._meta.db_table}" {change}')
