"""Bootpay v1: an envelope around everything, a raw token, Korean times without a zone."""

from confirmation.answers import Cancelled, GatewayReceipt
from worker.gateway import fields
from worker.gateway.dialect import Said
from worker.gateway.exchange import Reply
from worker.gateway.fields import Document, OddAnswer

#: v1 publishes no codes; these words are all that tells a cancel of something cancelled from any other refusal.
_ALREADY_CANCELLED = "기취소"


class V1:
    """`POST /request/token`, `GET /receipt/{id}`, `POST /submit`, `POST /cancel`."""

    prefix = ""
    submit_path = "/submit"
    lookup_query = ""
    #: A decline is an HTTP 500 here; of the other 5xx v1's documents say nothing.
    refusing = frozenset({400, 404, 422, 500})
    absent: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()
    unclear: frozenset[str] = frozenset()

    def authorization(self, token: str) -> str:
        """Send the token as it is, without `Bearer`."""
        return token

    def cancel_fields(self, receipt_id: str, cancel_id: str) -> Document:
        """Name no price: all that remains goes back."""
        who_and_why = {"name": "payconfirm", "reason": "payconfirm"}
        return {"receipt_id": receipt_id, "cancel_id": cancel_id, **who_and_why}

    def hear(self, reply: Reply) -> Said:
        """Open the envelope."""
        document, wait = reply.document, reply.retry_after_seconds
        if not isinstance(document, dict) or not fields.is_whole(document.get("status")):
            return Said(reply.http, retry_after_seconds=wait)
        status = document["status"] if reply.http == 200 else reply.http
        code, data = document.get("code"), document.get("data")
        if status == 200:
            yes = data if isinstance(data, dict) and fields.is_whole(code) and code == 0 else None
            return Said(200, yes, retry_after_seconds=wait)
        no = str(code) if isinstance(code, int) and fields.is_whole(code) and code < 0 else ""
        return Said(status, None, no, fields.shown(document, "message"), wait)

    def already_cancelled(self, said: Said) -> bool:
        """Go by the words: the code isn't documented."""
        return _ALREADY_CANCELLED in said.message

    def receipt(self, data: Document) -> GatewayReceipt:
        """Read a receipt; the answer to a submit has its fields except for `unit` and the sums."""
        unit = fields.currency(data, "unit")
        method = fields.shown(data, "method")
        return GatewayReceipt(
            api="v1",
            status=fields.whole(data, "status"),
            order_id=fields.text(data, "order_id"),
            amount=fields.money(fields.number(data, "price"), unit),
            cancelled=fields.cancelled(data, unit),
            method=method,
            virtual_account=method == "vbank",
            purchased_at=fields.korean_time(data, "purchased_at"),
            receipt_url=fields.web_address(data, "receipt_url"),
        )

    def cancellation(self, data: Document) -> Cancelled:
        """Believe a cancel when nothing remains; the answer has no more of a receipt than the sums."""
        if fields.number(data, "remain_price") != 0:
            raise OddAnswer("remain_price")
        return Cancelled()

    def token(self, data: Document) -> tuple[str, int]:
        """Read the token; its life is counted by the gateway's own clock."""
        return fields.text(data, "token"), fields.whole(data, "expired_at") - fields.whole(data, "server_time")
