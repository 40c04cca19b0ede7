"""The command line. Each command is one short function; what it shows is in the modules beside this one."""

from typing import Annotated

import typer
from rich.console import Console

from config import logs
from config.settings import Role, Settings, load
from worker import bootstrap
from worker.store.migrations import migrate as migrate_schema
from worker.store.stock import Stock

cli = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
stock_cli = typer.Typer(help="Set and show stock.", no_args_is_help=True)
cli.add_typer(stock_cli, name="stock")

out = Console()


def _settings(role: Role = Role.OTHER) -> Settings:
    settings = load(role)
    logs.configure(settings)
    return settings


@cli.command()
def migrate() -> None:
    """Bring the database's schema up to date; once a deploy, safe to repeat."""
    revision = migrate_schema(bootstrap.build_engine(_settings()))
    out.print(f"schema payconfirm is at revision {revision}")


@cli.command()
def relay() -> None:
    """Turn due rows into messages and carry the outbox out, until stopped."""
    from worker.relay import duties  # noqa: PLC0415 — only the relay needs its threads

    duties.run(bootstrap.build_relay(_settings()))


@stock_cli.command("set")
def stock_set(
    sku: Annotated[str, typer.Argument()], available: Annotated[int, typer.Argument(min=0, max=10**15)]
) -> None:
    """Make so many of a SKU available; the difference is written down."""
    shelf = Stock(bootstrap.build_engine(_settings())).set(sku, available, "set by hand")
    out.print(f"{shelf.sku}: {shelf.available} available, {shelf.held} held, {shelf.sold} sold")
