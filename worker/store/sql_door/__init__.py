"""The SQL door: `payconfirm.enqueue(jsonb)` and the functions that it is made of.

Their texts come from this code, limits and words from `payconfirm`, so they are made anew by every `migrate` rather
than by a migration. Rights that were granted stay. A function whose arguments keep their names and types can't give
another type or other names: such a change needs a new name.
"""

from sqlalchemy import Connection, text

from worker.store.sql_door import enqueue, flaws, metadata, spelling
from worker.store.sql_door.words import quoted

FUNCTIONS = (*spelling.FUNCTIONS, *metadata.FUNCTIONS, *flaws.FUNCTIONS, *enqueue.FUNCTIONS)

#: What the door's functions are known by, and nothing else in the schema.
COMMENT = "A part of payconfirm's SQL door; made anew by every migrate"

_OURS = text("""
SELECT CAST(CAST(p.oid AS regprocedure) AS text) FROM pg_proc p
WHERE p.pronamespace = CAST('payconfirm' AS regnamespace) AND obj_description(p.oid, 'pg_proc') = :comment
  AND p.oid <> ALL (CAST(CAST(:wanted AS text[]) AS regprocedure[]))
""")


def make(connection: Connection) -> None:
    """Make every function as this code has it, and drop those that it has no more."""
    for function in FUNCTIONS:
        _run(connection, function.created())
        _run(connection, f"REVOKE ALL ON FUNCTION {function.signature} FROM PUBLIC")
        _run(connection, f"COMMENT ON FUNCTION {function.signature} IS {quoted(COMMENT)}")
    wanted = [function.types for function in FUNCTIONS]
    for gone in connection.execute(_OURS, {"comment": COMMENT, "wanted": wanted}).scalars().all():
        _run(connection, f"DROP FUNCTION {gone}")


def _run(connection: Connection, statement: str) -> None:
    """Run a text as it stands: its `%` and `:` are its own."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
