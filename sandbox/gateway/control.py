"""The control routes under `/sandbox/`: open receipts, script faults, read the ledger, move the clock."""

from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from sandbox.gateway import statuses
from sandbox.gateway.bodies import ONE_OR_MANY, Advance, Change, NewFault
from sandbox.gateway.clock import KST
from sandbox.gateway.money import number, read_amount, read_json
from sandbox.gateway.receipts import Receipt, Receipts
from sandbox.gateway.refusals import Refusal
from sandbox.gateway.speaking import Answer, Document
from sandbox.gateway.wire import as_json
from sandbox.gateway.world import World

Route = Callable[[World, web.Request], Awaitable[Answer]]


async def open_receipts(world: World, request: web.Request) -> Answer:
    """Open one receipt, or all of a list, or none when one of them can't be."""
    wanted = ONE_OR_MANY.validate_python(read_json(await request.read()))
    many = wanted if isinstance(wanted, list) else [wanted]
    now = world.clock.now()
    opened = [new.receipt(now) for new in many]
    ids = [receipt.receipt_id for receipt in opened]
    taken = [receipt_id for receipt_id, times in Counter(ids).items() if times > 1 or receipt_id in world.receipts]
    if taken:
        return Answer(409, {"error": f"exists already: {', '.join(taken)}"})
    for receipt in opened:
        world.receipts.add(receipt)
    return Answer(201, {"receipt_ids": ids} if isinstance(wanted, list) else {"receipt_id": ids[0]})


async def list_receipts(world: World, request: web.Request) -> Answer:
    """List all receipts, or those of an order or with a status."""
    wanted = request.query
    found = world.receipts.of_order(wanted["order_id"]) if "order_id" in wanted else list(world.receipts)
    if "status" in wanted:
        status = statuses.FROM_V1.get(int(wanted["status"]), int(wanted["status"]))
        found = [receipt for receipt in found if receipt.status == status]
    return Answer(200, {"receipts": [_told(receipt) for receipt in found]})


async def show_receipt(world: World, request: web.Request) -> Answer:
    """Tell one receipt as it is inside."""
    return Answer(200, _told(world.receipts.get(request.match_info["receipt_id"])))


async def change_receipt(world: World, request: web.Request) -> Answer:
    """Change a receipt; the ledger follows a status or sum that means money."""
    receipt = world.receipts.get(request.match_info["receipt_id"])
    change = Change.model_validate(read_json(await request.read()))
    _change(world.receipts, receipt, change)
    return Answer(200, _told(receipt))


def _change(receipts: Receipts, receipt: Receipt, change: Change) -> None:
    named = change.model_dump(exclude_unset=True)
    currency = named.get("currency", receipt.currency)
    amounts = {name: read_amount(named[name], currency) for name in ("price", "cancelled_price") if name in named}
    if "order_id" in named:
        receipts.move_to_order(receipt, named["order_id"])
    for name in ("currency", "method", "name", "purchased_at"):
        if name in named:
            setattr(receipt, name, named[name])
    if receipt.purchased_at:
        receipt.purchased_at = receipt.purchased_at.astimezone(KST)
    receipt.price = amounts.get("price", receipt.price)
    if "status" in named:
        receipt.status = statuses.read_status(named["status"], receipt.method)
        receipts.settle_by_hand(receipt)
    if "cancelled_price" in amounts:
        status = receipt.status
        receipts.give_back_by_hand(receipt, amounts["cancelled_price"])
        receipt.status = status if "status" in named else receipt.status


async def add_fault(world: World, request: web.Request) -> Answer:
    """Script a fault."""
    script = NewFault.model_validate(read_json(await request.read())).script()
    world.faults.add(script)
    return Answer(201, script.told())


async def list_faults(world: World, _request: web.Request) -> Answer:
    """List the scripts that are still due."""
    return Answer(200, {"faults": world.faults.told()})


async def clear_faults(world: World, request: web.Request) -> Answer:
    """Forget all scripts, or one receipt's."""
    return Answer(200, {"cleared": world.faults.clear(request.query.get("receipt_id"))})


async def show_ledger(world: World, _request: web.Request) -> Answer:
    """Tell what moved: in all, by order, by receipt."""
    ledger = world.receipts.ledger
    accounts = {receipt.receipt_id: _account(world.receipts, receipt) for receipt in world.receipts}
    return Answer(200, {"totals": ledger.totals(), "orders": ledger.orders(), "receipts": accounts})


async def show_account(world: World, request: web.Request) -> Answer:
    """Tell what moved for one receipt, move by move."""
    receipt = world.receipts.get(request.match_info["receipt_id"])
    history = world.receipts.ledger.history(receipt.receipt_id)
    return Answer(200, {**_account(world.receipts, receipt), **history})


async def move_clock(world: World, request: web.Request) -> Answer:
    """Move the clock forward."""
    world.clock.advance(Advance.model_validate(read_json(await request.read())).advance_seconds)
    return Answer(200, {"now": world.clock.now().isoformat(timespec="milliseconds")})


async def reset(world: World, _request: web.Request) -> Answer:
    """Forget everything."""
    world.reset()
    return Answer(200, {"reset": True})


async def healthz(_world: World, _request: web.Request) -> Answer:
    """Say that the process lives."""
    return Answer(200, {"ok": True})


ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("POST", "/sandbox/receipts", open_receipts),
    ("GET", "/sandbox/receipts", list_receipts),
    ("GET", "/sandbox/receipts/{receipt_id}", show_receipt),
    ("PATCH", "/sandbox/receipts/{receipt_id}", change_receipt),
    ("POST", "/sandbox/faults", add_fault),
    ("GET", "/sandbox/faults", list_faults),
    ("DELETE", "/sandbox/faults", clear_faults),
    ("GET", "/sandbox/ledger", show_ledger),
    ("GET", "/sandbox/ledger/{receipt_id}", show_account),
    ("POST", "/sandbox/clock", move_clock),
    ("POST", "/sandbox/reset", reset),
    ("GET", "/healthz", healthz),
)


async def answer(route: Route, world: World, request: web.Request) -> web.Response:
    """Answer a control call; whatever is wrong with it is said under `error`."""
    try:
        said = await route(world, request)
    except Refusal:
        said = Answer(404, {"error": "no such receipt"})
    except ValidationError as error:
        wrong = ("/".join(map(str, each["loc"])) + ": " + each["msg"] for each in error.errors())
        said = Answer(422, {"error": "; ".join(wrong)})
    except ValueError as error:
        said = Answer(422, {"error": str(error)})
    return as_json(said)


def _told(receipt: Receipt) -> Document:
    purchased_at = receipt.purchased_at
    return {
        "receipt_id": receipt.receipt_id,
        "order_id": receipt.order_id,
        "price": number(receipt.price),
        "cancelled_price": number(receipt.cancelled_price),
        "currency": receipt.currency,
        "method": receipt.method,
        "name": receipt.name,
        "status": receipt.status,
        "purchased_at": purchased_at.isoformat(timespec="seconds") if purchased_at else None,
    }


def _account(receipts: Receipts, receipt: Receipt) -> Document:
    head = {"order_id": receipt.order_id, "currency": receipt.currency, "status": receipt.status}
    return {**head, **receipts.ledger.account(receipt.receipt_id)}
