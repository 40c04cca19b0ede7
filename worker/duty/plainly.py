"""What goes wrong for reasons outside of this code is said in one line, exit code 2; a traceback means a bug."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sqlalchemy.exc import ArgumentError, ProgrammingError
from typer.core import TyperGroup

from config.settings import stop
from confirmation.errors import StoreBusy, StoreUnavailable
from worker.duty.showing import printable
from worker.store.engine import named_errors

#: A table, a schema or a column that this code needs isn't there.
_NOT_MIGRATED = {"42P01", "3F000", "42703"}
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
    except StoreUnavailable as error:
        stop(f"the database doesn't answer: {_said(error)}")
    except StoreBusy as error:
        stop(f"the database is too busy, or somebody holds a lock: try again ({error})")
    except ArgumentError:
        stop("DATABASE_URL isn't an address that the database's driver can read")
    except ProgrammingError as error:
        _refused(error)


def _refused(error: ProgrammingError) -> NoReturn:
    code = getattr(error.orig, "pgcode", None)
    if code in _NOT_MIGRATED:
        stop("the schema isn't there, or is older than this code: run python -m worker migrate")
    if code == _NOT_ALLOWED:
        stop(f"the database refuses: {_first_line(error.orig)}")
    raise error


def _said(error: StoreUnavailable) -> str:
    """The driver's own words; they name the host, never the password."""
    return _first_line(getattr(error.__cause__, "orig", None) or error)


def _first_line(error: object) -> str:
    return printable(str(error).strip().partition("\n")[0])
