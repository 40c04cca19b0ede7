"""ORDER_HOOK=sandbox.shop.hook:hook: the order and its coupon change in the very commits that record the payment."""

from typing import Any

from sqlalchemy import Connection, text

from payconfirm import Refuse

PENDING = text("""
UPDATE shop.orders SET status = 'pending' WHERE order_id = :order_id AND status IN ('placed', 'failed')
RETURNING coupon
""")
TAKE_COUPON = text("""
UPDATE shop.coupons SET taken_by = :order_id WHERE code = :code AND taken_by IS NULL AND expires_at > now()
""")
PAID = text("UPDATE shop.orders SET status = 'paid' WHERE order_id = :order_id AND status = 'pending'")
FAILED = text("UPDATE shop.orders SET status = 'failed' WHERE order_id = :order_id AND status = 'pending'")
REFUNDED = text("UPDATE shop.orders SET status = 'refunded' WHERE order_id = :order_id AND status = 'paid'")
GIVE_COUPON_BACK = text("UPDATE shop.coupons SET taken_by = NULL WHERE taken_by = :order_id")


class OrderHook:
    """What the shop does in each of our commits. It ends no transaction and speaks to nobody but this database."""

    def on_reserve(self, connection: Connection, order: dict[str, Any]) -> None:
        """Begin to pay the order, and take its coupon."""
        named = {"order_id": order["order_id"]}
        found = connection.execute(PENDING, named).one_or_none()
        if found is None:
            raise Refuse(f"there is no order {order['order_id']} to be paid")
        if found.coupon and not connection.execute(TAKE_COUPON, named | {"code": found.coupon}).rowcount:
            raise Refuse(f"the coupon {found.coupon} is used or has expired")

    def on_commit(self, connection: Connection, order: dict[str, Any]) -> None:
        """Say that the order is paid, unless the buyer has cancelled it meanwhile."""
        if not connection.execute(PAID, {"order_id": order["order_id"]}).rowcount:
            raise Refuse(f"the order {order['order_id']} was cancelled meanwhile")

    def on_release(self, connection: Connection, order: dict[str, Any]) -> None:
        """Say that the payment failed; the order may be paid by another."""
        self._give_back(connection, order, FAILED)

    def on_void(self, connection: Connection, order: dict[str, Any]) -> None:
        """Say that the money of a paid order is back."""
        self._give_back(connection, order, REFUNDED)

    def _give_back(self, connection: Connection, order: dict[str, Any], statement: Any) -> None:  # noqa: ANN401
        named = {"order_id": order["order_id"]}
        connection.execute(statement, named)
        connection.execute(GIVE_COUPON_BACK, named)


hook = OrderHook()
