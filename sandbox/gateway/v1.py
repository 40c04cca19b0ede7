"""Version 1 of the API: an envelope around everything, a raw token, Korean times without a zone.

Bootpay publishes no list of v1's codes; except for -2410 and the words of "already cancelled" they are made up here.
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
    Refused.BAD_REQUEST: Wording(400, -10000, "잘못된 요청입니다."),
    Refused.NO_SUCH_CALL: Wording(404, -10404, "존재하지 않는 API 입니다."),
    Refused.NOT_FOUND: Wording(404, -12000, "영수증 정보를 찾지 못했습니다."),
    Refused.TOKEN_INVALID: Wording(401, -2401, "토큰이 올바르지 않거나 만료되었습니다."),
    Refused.KEY_UNKNOWN: Wording(401, -2410, "Application ID를 찾지 못했습니다."),
    Refused.SECRET_WRONG: Wording(401, -2411, "Private Key가 올바르지 않습니다."),
    Refused.TOO_FAST: Wording(429, -10429, "요청이 너무 많습니다."),
    Refused.NOT_READY: Wording(400, -15001, "결제승인을 할 수 있는 상태가 아닙니다."),
    Refused.DECLINED: Wording(500, -15002, "카드사에서 승인을 거절하였습니다. (한도초과)"),
    Refused.APPROVAL_UNKNOWN: Wording(500, -15003, "PG사에서 응답이 없습니다."),
    Refused.ALREADY_CANCELLED: Wording(500, -16001, "기취소된 건입니다"),
    Refused.CANCEL_UNDER_WAY: Wording(500, -16002, "취소가 진행 중입니다."),
    Refused.CANCEL_ID_USED: Wording(400, -16003, "이미 사용된 cancel_id 입니다."),
    Refused.CANCEL_PRICE_OVER: Wording(400, -16004, "취소할 수 있는 금액이 아닙니다."),
    Refused.NOT_PAID: Wording(400, -16005, "결제가 완료되지 않은 건입니다."),
    Refused.NO_REFUND_ACCOUNT: Wording(400, -16006, "환불 계좌 정보가 없습니다."),
    Refused.CANCEL_REFUSED: Wording(500, -16007, "PG사에서 취소를 거절하였습니다."),
    Refused.CANCEL_UNKNOWN: Wording(500, -16008, "PG사에서 취소 응답이 없습니다."),
    Refused.BROKEN: Wording(500, -10500, "서버 오류입니다."),
}


class V1(Version):
    """`/request/token`, `/receipt/{id}`, `/submit`, `/cancel`."""

    replays_approvals = False

    def check_access(self, header: str, tokens: Tokens) -> None:
        """Take the token as it is, without `Bearer`."""
        tokens.check_token(header)

    def token(self, token: Token, now_seconds: float) -> Answer:
        """Hand a token over with Unix seconds."""
        times = {"server_time": int(now_seconds), "expired_at": int(token.expires_at)}
        return _success({"token": token.value, **times})

    def receipt(self, receipt: Receipt) -> Answer:
        """Tell the receipt as `GET /receipt/{id}` does."""
        return _success(_receipt(receipt))

    def approval(self, receipt: Receipt) -> Answer:
        """Tell the payment as the client's `done` does: the product is `item_name` here."""
        return _success(
            {
                **_common(receipt),
                **_card(receipt),
                "item_name": receipt.name,
                "params": {},
                "url": "https://app.bootpay.co.kr",
                "payment_name": _method_name(receipt),
                "payment_group": receipt.method,
                "payment_group_name": _method_name(receipt),
            }
        )

    def cancellation(self, receipt: Receipt, amount: Decimal) -> Answer:
        """Tell what went back and what remains."""
        return _success(
            {
                "receipt_id": receipt.receipt_id,
                "request_cancel_price": number(amount),
                **_sums(receipt),
                "revoked_at": _time(receipt.cancelled_at),
                "tid": f"sandbox-{receipt.receipt_id}",
            }
        )

    def read_cancel(self, fields: Document, currency: str) -> Cancel:
        """Read `price`, `tax_free`, `cancel_id`, `refund`."""
        return Cancel(
            price=optional_amount(fields.get("price"), currency),
            tax_free=optional_amount(fields.get("tax_free"), currency),
            cancel_id=optional_text(fields.get("cancel_id")),
            has_refund_account=bool(fields.get("refund")),
        )

    def receipts(self, receipts: list[Receipt]) -> Answer:  # noqa: ARG002 - the same for all
        """Refuse: v1 has no lookup by order."""
        raise Refusal(Refused.NO_SUCH_CALL)

    def refusal(self, why: Refused) -> Answer:
        """Say no in the envelope, with a negative code."""
        http, code, message = WORDINGS[why]
        return Answer(http, {"status": http, "code": code, "message": message, "data": {}})


def _success(data: Document) -> Answer:
    return Answer(200, {"status": 200, "code": 0, "message": "", "data": data})


def _receipt(receipt: Receipt) -> Document:
    document = {
        **_common(receipt),
        **_sums(receipt),
        "name": receipt.name,
        "unit": receipt.currency.lower(),
        "payment_data": {**_card(receipt), "n": receipt.name, "o_id": receipt.order_id, "pm_a": receipt.method},
    }
    if receipt.cancelled_at:
        document["revoked_at"] = _time(receipt.cancelled_at)
    return document


def _common(receipt: Receipt) -> Document:
    status = receipt.shown_status
    if status is None:
        status = statuses.IN_V1.get(receipt.status, receipt.status)
    status_en, status_ko = statuses.NAMES.get(receipt.status, statuses.UNNAMED)
    return {
        "receipt_id": receipt.receipt_id,
        "order_id": receipt.order_id,
        "price": number(receipt.price),
        "tax_free": number(receipt.tax_free),
        "receipt_url": f"https://app.bootpay.co.kr/bill/{receipt.receipt_id}",
        "pg": "nicepay",
        "pg_name": "나이스페이먼츠",
        "method": receipt.method,
        "method_name": _method_name(receipt),
        "requested_at": _time(receipt.requested_at),
        "purchased_at": _time(receipt.purchased_at),
        "status": status,
        "status_en": status_en,
        "status_ko": status_ko,
    }


def _sums(receipt: Receipt) -> Document:
    return {
        "remain_price": number(receipt.remaining),
        "remain_tax_free": number(receipt.tax_free - receipt.cancelled_tax_free),
        "cancelled_price": number(receipt.cancelled_price),
        "cancelled_tax_free": number(receipt.cancelled_tax_free),
    }


def _card(receipt: Receipt) -> Document:
    if receipt.method != "card" or receipt.purchased_at is None:
        return {}
    return {"card_no": "55704204****1074", "card_code": "02", "card_name": "KB국민", "card_quota": "00"}


def _method_name(receipt: Receipt) -> str:
    return {"card": "카드결제", "vbank": "가상계좌"}.get(receipt.method, receipt.method)


def _time(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else None
