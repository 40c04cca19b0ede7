"""Bring the schema `payconfirm` up to what this code needs."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from worker.store import sql_door

#: Two deploys at once take turns.
_MIGRATION_LOCK = 0x7061_7963


def migrate(engine: Engine) -> str:
    """Upgrade to the newest schema and say which it is. Safe to run twice, and twice at once."""
    config = _config()
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        # A migration may take longer than what a worker's statement is given.
        connection.execute(text("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS payconfirm"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        sql_door.make(connection)
    return newest()


def newest() -> str:
    """The revision that this code needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def installed(engine: Engine) -> str | None:
    """The revision that the database has; None where it has none."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": "payconfirm"})
        return context.get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("worker.store.migrations")))
    return config
