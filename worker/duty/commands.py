"""The command line. Each command is one short function; what it shows is in the modules beside this one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer
from pydantic import ValidationError
from sqlalchemy import Engine

from config import logs
from config.settings import Role, Settings, load, stop
from confirmation.confirmation import Confirmation
from confirmation.operating import NotDone, may, said
from confirmation.operating import retry as look_again
from confirmation.operating import void as send_back
from confirmation.operators import Act
from confirmation.states import State
from payconfirm.checks import check_receipt_id
from payconfirm.document import OrderLine
from worker import bootstrap
from worker.broker.redis import make_redis
from worker.duty import explain as story
from worker.duty import finding, showing
from worker.duty.operating import who
from worker.duty.plainly import PlainGroup
from worker.store.callbacks import Callbacks
from worker.store.dead_letters import DeadLetters
from worker.store.migrations import migrate as migrate_schema
from worker.store.operating import Operating
from worker.store.reading import Reading, WholeStory
from worker.store.stock import Shelf, Stock

_HELP = "For people on duty: set it up, look after it, ask what happened."

cli = typer.Typer(
    cls=PlainGroup, help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
stock_cli = typer.Typer(help="Set and show stock.", no_args_is_help=True)
cli.add_typer(stock_cli, name="stock")

#: More of one SKU than any shop has; the sums of many such stay far below what the database counts to.
MOST_AVAILABLE = 10**12
#: So many dead letters are listed, the newest.
MOST_DEAD_LETTERS = 1000


def _receipt_id(value: str | None) -> str | None:
    try:
        return value if value is None else check_receipt_id(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _wanted(value: str) -> str:
    try:
        return finding.check_wanted(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _sku(value: str | None) -> str | None:
    """Take what an order document takes."""
    try:
        return value if value is None else OrderLine(sku=value, quantity=1).sku
    except ValidationError:
        raise typer.BadParameter(f"takes {OrderLine.model_fields['sku'].description}") from None


ReceiptId = Annotated[str, typer.Argument(metavar="RECEIPT", callback=_receipt_id, help="The receipt_id.")]
Wanted = Annotated[
    str, typer.Argument(metavar="RECEIPT", callback=_wanted, help="The receipt_id, or the order_id of its order.")
]
Sku = Annotated[str, typer.Argument(metavar="SKU", callback=_sku)]
Available = Annotated[int, typer.Argument(metavar="N", min=0, max=MOST_AVAILABLE)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class End(StrEnum):
    """The ends that a person can name."""

    CONFIRMED = State.CONFIRMED.value
    REJECTED = State.REJECTED.value
    VOIDED = State.VOIDED.value


def _settings(role: Role = Role.OTHER) -> Settings:
    settings = load(role)
    logs.configure(settings)
    return settings


def _engine() -> Engine:
    return bootstrap.build_engine(_settings())


@cli.command()
def migrate() -> None:
    """Bring the database's schema up to date; once a deploy, safe to repeat."""
    showing.say(f"schema payconfirm is at revision {migrate_schema(_engine())}")


@cli.command()
def relay() -> None:
    """Turn due rows into messages and carry the outbox out, until stopped."""
    from worker.relay import duties  # noqa: PLC0415 — only the relay needs its threads

    duties.run(bootstrap.build_relay(_settings()))


@cli.command()
def health(*, as_json: AsJson = False) -> None:
    """Ask whether database, Redis and broker answer: exit 0, or 1 and which one doesn't."""
    from worker.duty.health import look  # noqa: PLC0415 — the broker's client takes long to import

    found = look(_settings())
    ok = all(part.ok for part in found)
    if as_json:
        showing.say_json({"ok": ok, "parts": [part.as_data() for part in found]})
    else:
        for part in found:
            showing.say(f"{part.part}: {'ok' if part.ok else 'NOT OK'}, {part.detail}")
    raise typer.Exit(0 if ok else 1)


@stock_cli.command("set")
def stock_set(sku: Sku, available: Available) -> None:
    """Make N of a SKU available; the difference is written down."""
    _show_shelves([Stock(_engine()).set(sku, available, "set by hand")])


@stock_cli.command("show")
def stock_show(sku: Annotated[str | None, typer.Argument(metavar="[SKU]", callback=_sku)] = None) -> None:
    """Show what is available, held and sold, of one SKU or of all. An unknown SKU: exit 1."""
    shelves = Stock(_engine()).show(sku)
    if sku is not None and not shelves:
        _unknown(f"no SKU {sku} in stock")
    _show_shelves(shelves)


@cli.command()
def explain(wanted: Wanted, *, as_json: AsJson = False) -> None:
    """Tell a receipt's story: who tried what when, what the gateway said, why it ended as it did.

    By its order_id, too; where an order has several receipts they are listed.
    """
    told = finding.find(Reading(_engine()), wanted)
    if isinstance(told, WholeStory):
        _tell(told, as_json=as_json)
    elif not told:
        _unknown(f"no receipt and no order {wanted}")
    elif as_json:
        showing.say_json(finding.as_data(wanted, told))
    else:
        finding.show(wanted, told, showing.console())


@cli.command()
def retry(receipt_id: ReceiptId) -> None:
    """Have a receipt looked at now. What has ended well, or was voided: exit 1."""
    with _or_exit_1():
        look_again(Operating(_engine()), receipt_id, who())
    showing.say(f"{receipt_id} is looked at as soon as a worker is free")


@cli.command()
def void(
    receipt_id: ReceiptId,
    *,
    restock: Annotated[bool, typer.Option("--restock", help="What was sold can be sold again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Send the money of a confirmed receipt, or of one in review, back to the buyer. Any other: exit 1."""
    settings = _settings()
    rows = Operating(bootstrap.build_engine(settings), bootstrap.build_hook(settings))
    with _or_exit_1():
        seen = _under_its_hook(settings, may(rows, Act.VOID, receipt_id))
        if not yes:
            _ask_before_void(seen, restock=restock)
        send_back(rows, seen, who(), restock=restock)
    showing.say(f"{receipt_id} is voiding: the workers send back what was paid")


@cli.command()
def resolve(
    receipt_id: ReceiptId,
    *,
    end: Annotated[End, typer.Option("--as", help="How it ended.")],
    force: Annotated[bool, typer.Option("--force", help="Your word is the end where the gateway has none.")] = False,
) -> None:
    """End a receipt in review: by the gateway's word, else by yours. Where it stays in review: exit 1."""
    from confirmation.resolving import Resolving, Word  # noqa: PLC0415 — only this command needs the rules

    settings = _settings(Role.WORKER)
    parts = bootstrap.build_worker(settings, spared=False)
    rows = Operating(bootstrap.build_engine(settings))
    with _or_exit_1():
        _under_its_hook(settings, may(rows, Act.RESOLVE, receipt_id))
        resolving = Resolving(rows, parts.world)
        confirmation, heard = resolving.resolve(receipt_id, Word(State(end), force, who()))
    parts.hints.outbox()
    showing.say(f"the gateway says: {showing.printable(heard)}")
    showing.say(f"{receipt_id} is {said(confirmation)}")


@cli.command("dead-letters")
def dead_letters(*, as_json: AsJson = False) -> None:
    """List what came in and nobody could use, the newest first; its raw bytes are in the JSON."""
    letters = DeadLetters(_engine()).newest(MOST_DEAD_LETTERS)
    if as_json:
        showing.say_json(letters)
    else:
        from worker.duty.letters import read, why  # noqa: PLC0415 — only this command needs it

        lines = showing.table("at", "from", "receipt", "order", "amount", "why")
        for letter in letters:
            known = read(letter)
            words = (letter["at"], letter["source"], letter["receipt_id"] or "-", *known, why(letter))
            lines.add_row(*map(showing.printable, words))
        showing.console().print(lines if letters else "none")
    if len(letters) == MOST_DEAD_LETTERS:
        showing.complain(f"these are the newest {MOST_DEAD_LETTERS}; there may be more")


@cli.command()
def callbacks(
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that have failed for good.")] = False,
    receipt: Annotated[
        str | None,
        typer.Option("--receipt", metavar="RECEIPT", callback=_receipt_id, help="Only this receipt's, all of them."),
    ] = None,
    resend: Annotated[str | None, typer.Option("--resend", metavar="ID", help="Send this one again, now.")] = None,
    as_json: AsJson = False,
) -> None:
    """List callbacks, first what isn't delivered, and what is paused; or send one again. An unknown one: exit 1."""
    from worker.duty import callbacks as calls  # noqa: PLC0415 — only this command needs it

    settings = _settings()
    engine = bootstrap.build_engine(settings)
    table = Callbacks(engine)
    if resend is None:
        if receipt is not None and Reading(engine).result(receipt) is None:
            _unknown(f"no receipt {receipt}")
        calls.show(table, calls.Wanted("failed" if failed else None, receipt), as_json=as_json)
        return
    with _or_exit_1():
        told = calls.send_again(table, resend)
    bootstrap.build_hints(settings).callbacks()
    showing.say(told)


@cli.command()
def audit(
    *,
    gateway: Annotated[bool, typer.Option("--gateway", help="Look every receipt up at the gateway, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that everything adds up: exit 0, or 1 and what doesn't. What is in review is listed."""
    from worker.duty.audit import Circumstances  # noqa: PLC0415 — only this command needs it
    from worker.duty.audit import audit as look_through  # noqa: PLC0415 — as above
    from worker.gateway.sparing import away_seconds  # noqa: PLC0415 — as above

    settings = _settings(Role.AUDIT if gateway else Role.OTHER)
    asked = bootstrap.build_gateway(settings) if gateway else None
    with make_redis(settings.redis_url.get_secret_value()) as redis:
        away = away_seconds(redis) is not None
    given = Circumstances(timedelta(seconds=settings.confirm_deadline_seconds), away)
    report = look_through(bootstrap.build_engine(settings), asked, showing.console(stderr=True), given)
    if as_json:
        showing.say_json(report.as_data())
    else:
        report.show(showing.console())
    raise typer.Exit(0 if report.ok else 1)


def _tell(told: WholeStory, *, as_json: bool) -> None:
    if as_json:
        showing.say_json(story.as_data(told))
    else:
        story.show(told, showing.console())


def _show_shelves(shelves: list[Shelf]) -> None:
    lines = showing.table("SKU", "available", "held", "sold")
    for shelf in shelves:
        lines.add_row(showing.printable(shelf.sku), str(shelf.available), str(shelf.held), str(shelf.sold))
    showing.console().print(lines)


@contextmanager
def _or_exit_1() -> Iterator[None]:
    """What isn't done is said in one line."""
    try:
        yield
    except NotDone as why:
        _unknown(str(why))


def _under_its_hook(settings: Settings, seen: Confirmation) -> Confirmation:
    """What a person does to it is done with the shop's hook, or not at all."""
    if seen.hooked and not settings.order_hook:
        raise NotDone(f"{seen.receipt_id} was {seen.hooked} under a hook: set ORDER_HOOK; nothing was changed")
    return seen


def _ask_before_void(seen: Confirmation, *, restock: bool) -> None:
    if not sys.stdin.isatty():
        stop("nobody is there to be asked: say --yes")
    order = seen.order
    stock = "what was sold comes back" if restock else "what was sold stays sold"
    words = f"{said(seen)}: send {showing.money(order.amount)} of order {order.order_id} back, {stock}?"
    typer.confirm(showing.printable(words), abort=True)


def _unknown(words: str) -> None:
    showing.complain(showing.printable(words))
    raise typer.Exit(1)
