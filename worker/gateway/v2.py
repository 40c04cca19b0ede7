"""Bootpay v2: flat objects, `error_code`, Bearer tokens or Basic keys."""

from confirmation.answers import Cancelled, GatewayReceipt
from worker.gateway import fields
from worker.gateway.dialect import Said
from worker.gateway.exchange import Reply
from worker.gateway.fields import Document

_CANCELLED_STATUS = 20


class V2:
    """`POST /v2/request/token`, `GET /v2/receipt/{id}`, `POST /v2/confirm`, `POST /v2/cancel`."""

    prefix = "/v2"
    submit_path = "/confirm"
    #: As the official SDKs ask; nobody here needs the buyer's data.
    lookup_query = "?lookup_user_data=false"
    #: An `error_code` counts whatever 4xx it comes with. All documented 500s say that the outcome is unknown.
    refusing = frozenset({200, *range(400, 500)}) - {401, 408, 429}
    absent = frozenset({"RC_NOT_FOUND"})
    declined = frozenset({"RC_CONFIRM_FAILED"})
    unclear = frozenset({"RC_CONFIRM_CRITICAL_FAILED", "RC_CANCEL_CRITICAL_ERROR"})

    def authorization(self, token: str) -> str:
        """Send the token as a bearer's."""
        return f"Bearer {token}"

    def cancel_fields(self, receipt_id: str, cancel_id: str) -> Document:
        """Name no price: all that remains goes back."""
        who_and_why = {"cancel_username": "payconfirm", "cancel_message": "payconfirm"}
        return {"receipt_id": receipt_id, "cancel_id": cancel_id, **who_and_why}

    def hear(self, reply: Reply) -> Said:
        """Know an error by its HTTP status or by its `error_code`, whichever there is."""
        document, wait = reply.document, reply.retry_after_seconds
        if not isinstance(document, dict):
            return Said(reply.http, retry_after_seconds=wait)
        if document.get("error_code") is None and reply.http == 200:
            return Said(200, document, retry_after_seconds=wait)
        return Said(reply.http, None, fields.shown(document, "error_code"), fields.shown(document, "message"), wait)

    def already_cancelled(self, said: Said) -> bool:
        """Go by the code."""
        return said.code == "RC_ALREADY_CANCELLED"

    def receipt(self, data: Document) -> GatewayReceipt:
        """Read the one flat receipt that every call answers with."""
        currency = fields.currency(data, "currency")
        method = fields.shown(data, "method_symbol")
        vbank = "vbank" in (method, data.get("method_origin_symbol")) or bool(data.get("vbank_data"))
        return GatewayReceipt(
            api="v2",
            status=fields.whole(data, "status"),
            order_id=fields.text(data, "order_id"),
            amount=fields.money(fields.number(data, "price"), currency),
            cancelled=fields.cancelled(data, currency),
            method=method,
            virtual_account=vbank,
            purchased_at=fields.korean_time(data, "purchased_at"),
            receipt_url=fields.web_address(data, "receipt_url"),
        )

    def cancellation(self, data: Document) -> Cancelled | GatewayReceipt:
        """Go by the sums where there are any: Bootpay's texts disagree about the status after a partial cancel."""
        receipt = self.receipt(data)
        amount = receipt.amount
        everything = amount is not None and 0 < amount.minor <= receipt.cancelled
        without_sums = receipt.status == _CANCELLED_STATUS and not receipt.cancelled
        return Cancelled() if everything or without_sums else receipt

    def token(self, data: Document) -> tuple[str, int]:
        """Read the token and its life."""
        return fields.text(data, "access_token"), fields.whole(data, "expire_in")
