"""Version 2 of the API: flat objects, `error_code`, Bearer tokens or Basic keys, ISO times.

The codes are Bootpay's own as far as they are known; where a case has none known, the nearest one is used.
"""

from datetime import datetime
from decimal import Decimal

from sandbox.gateway import statuses
from sandbox.gateway.money import number
from sandbox.gateway.receipts import Cancel, Receipt
from sandbox.gateway.refusals import Refusal, Refused
from sandbox.gateway.speaking import Answer, Document, Version, Wording, optional_amount, optional_text
from sandbox.gateway.tokens import Token, Tokens

WORDINGS = {
    Refused.BAD_REQUEST: Wording(400, "INVALID_PARAMETER", "잘못된 요청입니다."),
    Refused.NO_SUCH_CALL: Wording(404, "NOT_FOUND", "존재하지 않는 API 입니다."),
    Refused.NOT_FOUND: Wording(404, "RC_NOT_FOUND", "영수증 정보를 찾지 못했습니다."),
    Refused.TOKEN_INVALID: Wording(401, "TOKEN_KEY_INVALID", "토큰이 올바르지 않거나 만료되었습니다."),
    Refused.KEY_UNKNOWN: Wording(401, "APP_KEY_NOT_FOUND", "애플리케이션 키를 찾지 못했습니다."),
    Refused.SECRET_WRONG: Wording(401, "APP_SK_NOT_MATCHED", "비밀 키가 일치하지 않습니다."),
    Refused.TOO_FAST: Wording(429, "TOO_MANY_REQUESTS", "요청이 너무 많습니다."),
    Refused.NOT_READY: Wording(400, "RC_NOT_CONFIRM_READY", "결제승인을 할 수 있는 상태가 아닙니다."),
    Refused.DECLINED: Wording(400, "RC_CONFIRM_FAILED", "카드사에서 승인을 거절하였습니다. (한도초과)"),
    Refused.APPROVAL_UNKNOWN: Wording(500, "RC_CONFIRM_CRITICAL_FAILED", "PG사에서 응답이 없습니다."),
    Refused.ALREADY_CANCELLED: Wording(400, "RC_ALREADY_CANCELLED", "이미 취소된 결제입니다."),
    Refused.CANCEL_UNDER_WAY: Wording(400, "RC_CANCEL_SERVER_ERROR", "취소가 진행 중입니다."),
    Refused.CANCEL_ID_USED: Wording(400, "RC_CANCEL_SERVER_ERROR", "이미 사용된 cancel_id 입니다."),
    Refused.CANCEL_PRICE_OVER: Wording(400, "RC_CANCEL_SERVER_ERROR", "취소할 수 있는 금액이 아닙니다."),
    Refused.NOT_PAID: Wording(400, "RC_CANCEL_SERVER_ERROR", "결제가 완료되지 않은 건입니다."),
    Refused.NO_REFUND_ACCOUNT: Wording(400, "RC_CANCEL_SERVER_ERROR", "환불 계좌 정보가 없습니다."),
    Refused.CANCEL_REFUSED: Wording(400, "RC_CANCEL_SERVER_ERROR", "PG사에서 취소를 거절하였습니다."),
    Refused.CANCEL_UNKNOWN: Wording(500, "RC_CANCEL_CRITICAL_ERROR", "PG사에서 취소 응답이 없습니다."),
    Refused.BROKEN: Wording(500, "INTERNAL_SERVER_ERROR", "서버 오류입니다."),
}

#: The payment company's own code goes along when it was the one that said no (NicePay's "limit exceeded").
PG_CODES = {Refused.DECLINED: "1512", Refused.CANCEL_REFUSED: "2013"}


class V2(Version):
    """`/v2/request/token`, `/v2/receipt/{id}`, `/v2/confirm`, `/v2/cancel`, `/v2/lookup/order/{order_id}`."""

    replays_approvals = True

    def check_access(self, header: str, tokens: Tokens) -> None:
        """Take `Bearer` with a token, or `Basic` with the keys."""
        scheme, _, credentials = header.partition(" ")
        match scheme.lower():
            case "bearer":
                tokens.check_token(credentials)
            case "basic":
                tokens.check_basic(credentials)
            case _:
                raise Refusal(Refused.TOKEN_INVALID)

    def token(self, token: Token, now_seconds: float) -> Answer:
        """Hand a token over with the seconds that it still has."""
        return Answer(200, {"access_token": token.value, "expire_in": int(token.expires_at - now_seconds)})

    def receipt(self, receipt: Receipt) -> Answer:
        """Tell the flat receipt."""
        return Answer(200, _receipt(receipt))

    def approval(self, receipt: Receipt) -> Answer:
        """Tell the flat receipt, as a look-up does."""
        return Answer(200, _receipt(receipt))

    def cancellation(self, receipt: Receipt, amount: Decimal) -> Answer:  # noqa: ARG002 - v2 doesn't say it
        """Tell the flat receipt, as a look-up does."""
        return Answer(200, _receipt(receipt))

    def read_cancel(self, fields: Document, currency: str) -> Cancel:
        """Read `cancel_price`, `cancel_tax_free`, `cancel_id`, `refund`."""
        return Cancel(
            price=optional_amount(fields.get("cancel_price"), currency),
            tax_free=optional_amount(fields.get("cancel_tax_free"), currency),
            cancel_id=optional_text(fields.get("cancel_id")),
            has_refund_account=bool(fields.get("refund")),
        )

    def receipts(self, receipts: list[Receipt]) -> Answer:
        """Tell the receipts of one order as an array, an empty one for an order that nobody knows."""
        return Answer(200, [_receipt(receipt) for receipt in receipts])

    def refusal(self, why: Refused) -> Answer:
        """Say no with an error_code."""
        http, code, message = WORDINGS[why]
        document = {"error_code": code, "message": message}
        if why in PG_CODES:
            document["pg_error_code"] = PG_CODES[why]
        return Answer(http, document)


def _receipt(receipt: Receipt) -> Document:
    return {**_payment(receipt), **_state(receipt), **_method_data(receipt)}


def _payment(receipt: Receipt) -> Document:
    method = {"card": "카드", "vbank": "가상계좌"}.get(receipt.method, receipt.method)
    return {
        "receipt_id": receipt.receipt_id,
        "order_id": receipt.order_id,
        "price": number(receipt.price),
        "tax_free": number(receipt.tax_free),
        "cancelled_price": number(receipt.cancelled_price),
        "cancelled_tax_free": number(receipt.cancelled_tax_free),
        "order_name": receipt.name,
        "company_name": "sandbox",
        "gateway_url": "https://gw.bootpay.co.kr",
        "metadata": {},
        "sandbox": True,
        "pg": "나이스페이먼츠",
        "method": method,
        "method_symbol": receipt.method,
        "method_origin": method,
        "method_origin_symbol": receipt.method,
        "currency": receipt.currency,
    }


def _state(receipt: Receipt) -> Document:
    status = receipt.shown_status
    if status is None:
        status = statuses.IN_V2.get(receipt.status, receipt.status)
    return {
        "requested_at": _time(receipt.requested_at),
        "purchased_at": _time(receipt.purchased_at),
        "cancelled_at": _time(receipt.cancelled_at),
        "status": status,
        "status_locale": statuses.NAMES.get(receipt.status, statuses.UNNAMED)[1],
        "receipt_url": f"https://door.bootpay.co.kr/receipt/{receipt.receipt_id}",
        "escrow_status": None,
        "escrow_status_locale": None,
    }


def _method_data(receipt: Receipt) -> Document:
    tid = f"sandbox-{receipt.receipt_id}"
    if receipt.method == "vbank":
        account = {"bank_code": "004", "bank_name": "국민은행", "bank_account": "67560101012340"}
        return {"vbank_data": {"tid": tid, **account, "bank_username": "sandbox"}}
    if receipt.method != "card" or receipt.purchased_at is None:
        return {}
    card = {"card_approve_no": "30025240", "card_no": "5570********1074", "card_quota": "00"}
    return {"card_data": {"tid": tid, **card, "card_company_code": "361", "card_company": "BC카드"}}


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
