"""How one call is answered, from the count to the last byte. `answer` is the one point where faults take effect."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from urllib.parse import parse_qsl

from aiohttp import web

from sandbox.gateway import statuses
from sandbox.gateway.faults import NO_SCRIPT, Script, Verdict
from sandbox.gateway.ledger import Call
from sandbox.gateway.money import read_json
from sandbox.gateway.receipts import Cancel, Receipt, Receipts
from sandbox.gateway.refusals import Refusal, Refused
from sandbox.gateway.speaking import Answer, Document, Version
from sandbox.gateway.world import World

FORM_TYPE = "application/x-www-form-urlencoded"
#: Every path may end in it.
JSON_ENDING = ".json"

Perform = Callable[[World, Version, Document, Script], Awaitable[Answer]]


async def answer(world: World, version: Version, call: Call, request: web.Request) -> web.StreamResponse:
    """Count the call, let it take effect as its script wants, and send what the script makes of the answer."""
    world.receipts.ledger.count(call)
    script = NO_SCRIPT
    try:
        fields = await _admit(world, version, call, request)
        script = _take_script(world, call, fields)
        said = await PERFORM[call](world, version, fields, script)
    except Refusal as refusal:
        said = version.refusal(refusal.why)
    fault = script.fault
    if fault.instead:
        said = version.refusal(fault.instead(call))
    return await fault.send(request, said, script.seconds)


async def _admit(world: World, version: Version, call: Call, request: web.Request) -> Document:
    """Return what was asked, path and body as one, of a caller who may ask."""
    if call is not Call.TOKEN:
        version.check_access(request.headers.get("Authorization", ""), world.tokens)
    if request.method == "POST":
        return _read_body(request.content_type, await request.read())
    return dict(request.match_info)


def _read_body(content_type: str, body: bytes) -> Document:
    try:
        if content_type == FORM_TYPE:
            return dict(parse_qsl(body.decode()))
        fields = read_json(body)
    except ValueError:
        raise Refusal(Refused.BAD_REQUEST) from None
    if not isinstance(fields, dict):
        raise Refusal(Refused.BAD_REQUEST)
    return fields


def _take_script(world: World, call: Call, fields: Document) -> Script:
    receipt_ids = [receipt.receipt_id for receipt in _asked_about(world.receipts, call, fields)]
    at = world.clock.now().isoformat(timespec="milliseconds")
    for receipt_id in receipt_ids:
        world.receipts.ledger.count_for(receipt_id, call, at)
    return world.faults.take(call, receipt_ids)


def _asked_about(receipts: Receipts, call: Call, fields: Document) -> list[Receipt]:
    if call is Call.TOKEN:
        return []
    if call is Call.LOOKUP:
        return _of_order(receipts, fields["order_id"])
    receipt_id = _plain_id(fields)
    return [receipts.get(receipt_id)] if receipt_id in receipts else []


async def _issue_token(world: World, version: Version, fields: Document, _script: Script) -> Answer:
    token = world.tokens.issue(fields.get("application_id"), fields.get("private_key"))
    return version.token(token, world.clock.seconds())


async def _tell_receipt(world: World, version: Version, fields: Document, script: Script) -> Answer:
    await _pause(world.latency.lookup_seconds)
    receipt = world.receipts.get(_plain_id(fields))
    return version.receipt(script.fault.disguise(receipt, script))


async def _tell_order(world: World, version: Version, fields: Document, script: Script) -> Answer:
    await _pause(world.latency.lookup_seconds)
    receipts = _of_order(world.receipts, fields["order_id"])
    return version.receipts([script.fault.disguise(receipt, script) for receipt in receipts])


async def _approve(world: World, version: Version, fields: Document, script: Script) -> Answer:
    receipts = world.receipts
    receipt = receipts.get(_plain_id(fields))
    if not script.acts:
        await _pause(world.latency.approve_seconds)
        raise Refusal(Refused.APPROVAL_UNKNOWN)
    pretended = script.fault.verdict is Verdict.PRETEND
    replayed = version.replays_approvals and receipts.in_grace(receipt)
    if not pretended and not replayed:
        receipts.begin_approval(receipt)
        await _pause(world.latency.approve_seconds + script.seconds_in_flight)
        _finish_approval(receipts, receipt, script.fault.verdict)
    return version.approval(script.fault.disguise(receipt, script))


def _finish_approval(receipts: Receipts, receipt: Receipt, verdict: Verdict) -> None:
    """Charge a receipt that is still in flight, unless the payment company says otherwise."""
    if receipt.status != statuses.IN_FLIGHT:
        raise Refusal(Refused.NOT_READY)  # a test has changed it meanwhile
    match verdict:
        case Verdict.DECLINE:
            receipt.status = statuses.FAILED
            raise Refusal(Refused.DECLINED)
        case Verdict.DECLINE_STAYS_READY:
            receipt.status = statuses.READY
            raise Refusal(Refused.DECLINED)
        case Verdict.FALL_SILENT:
            raise Refusal(Refused.APPROVAL_UNKNOWN)
        case _:
            receipts.charge(receipt)


async def _cancel(world: World, version: Version, fields: Document, script: Script) -> Answer:
    receipts = world.receipts
    receipt = receipts.get(_plain_id(fields))
    cancel = version.read_cancel(fields, receipt.currency)
    await _pause(world.latency.approve_seconds)
    if not script.acts:
        raise Refusal(Refused.CANCEL_UNKNOWN)
    amount = _finish_cancel(receipts, receipt, cancel, script.fault.verdict)
    return version.cancellation(script.fault.disguise(receipt, script), amount)


def _finish_cancel(receipts: Receipts, receipt: Receipt, cancel: Cancel, verdict: Verdict) -> Decimal:
    """Give the money back in one step, so that of two cancels at once one meets the other's end."""
    match verdict:
        case Verdict.REFUSE_CANCEL:
            receipts.check_cancel(receipt, cancel)
            raise Refusal(Refused.CANCEL_REFUSED)
        case Verdict.CANCEL_LINGERS:
            receipts.begin_cancel(receipt, cancel)
            raise Refusal(Refused.CANCEL_UNKNOWN)
        case _:
            return receipts.cancel(receipt, cancel)


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _plain_id(fields: Document) -> str:
    return str(fields.get("receipt_id", "")).removesuffix(JSON_ENDING)


def _of_order(receipts: Receipts, order_id: str) -> list[Receipt]:
    return receipts.of_order(order_id) or receipts.of_order(order_id.removesuffix(JSON_ENDING))


#: What each kind of call does.
PERFORM: dict[Call, Perform] = {
    Call.TOKEN: _issue_token,
    Call.RECEIPT: _tell_receipt,
    Call.APPROVE: _approve,
    Call.CANCEL: _cancel,
    Call.LOOKUP: _tell_order,
}
