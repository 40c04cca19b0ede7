"""What goes wrong for reasons outside of this code is said in one line, exit code 2; a traceback means a bug."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import ArgumentError
from typer.core import TyperGroup

from config.settings import stop
from confirmation.errors import StoreBusy, StoreUnavailable
from worker.duty.showing import printable
from worker.store.engine import SchemaMissing, named_errors

_NOT_ALLOWED = "42501"


class PlainGroup(TyperGroup):
    """The commands, with their complaints in plain words."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 — as Typer has it
        """Run the command that was asked for."""
        with plainly():
            return super().invoke(ctx)


@contextmanager
def plainly() -> Iterator[None]:
    """End the process with one clear line where the database is away or not migrated."""
    try:
        with named_errors():
            yield
    except SchemaMissing as error:
        stop(str(error))
    except StoreUnavailable as error:
        refused = getattr(getattr(error.__cause__, "orig", None), "pgcode", None) == _NOT_ALLOWED
        does = "refuses" if refused else "doesn't answer"
        stop(f"the database {does}: {printable(str(error))}")
    except StoreBusy as error:
        stop(f"the database is too busy, or somebody holds a lock: try again ({error})")
    except ArgumentError:
        stop("DATABASE_URL isn't an address that the database's driver can read")
