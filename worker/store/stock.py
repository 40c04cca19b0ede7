"""Stock as people see and set it. What receipts take and give back is in the ledger's own statements."""

from dataclasses import dataclass

from sqlalchemy import Engine, text

from worker.store.engine import named_errors

_SET = """
WITH old AS (SELECT available FROM payconfirm.stock WHERE sku = :sku FOR UPDATE),
put AS (
    INSERT INTO payconfirm.stock (sku, available) VALUES (:sku, :available)
    ON CONFLICT (sku) DO UPDATE SET available = excluded.available
)
INSERT INTO payconfirm.stock_changes (sku, change, why)
SELECT :sku, :available - COALESCE((SELECT available FROM old), 0), :why
"""

#: Two people who set one SKU take turns; no receipt waits for this.
_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('payconfirm.stock.' || :sku, 0))"

_SHOW = """
SELECT s.sku, s.available,
       COALESCE(sum(r.quantity) FILTER (WHERE r.state = 'held'), 0)::bigint AS held,
       COALESCE(sum(r.quantity) FILTER (WHERE r.state = 'sold'), 0)::bigint AS sold
FROM payconfirm.stock s LEFT JOIN payconfirm.reservations r ON r.sku = s.sku
WHERE CAST(:sku AS text) IS NULL OR s.sku = :sku
GROUP BY s.sku ORDER BY s.sku
"""


@dataclass(frozen=True)
class Shelf:
    """One SKU: what can be sold, what is held for open receipts, what was sold."""

    sku: str
    available: int
    held: int
    sold: int


class Stock:
    """The shelves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def set(self, sku: str, available: int, why: str) -> Shelf:
        """Make so many available; the difference is written down with the reason."""
        with named_errors(), self._engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            connection.execute(text(_TURN), {"sku": sku})
            connection.execute(text(_SET), {"sku": sku, "available": available, "why": why})
        return self.show(sku)[0]

    def show(self, sku: str | None = None) -> list[Shelf]:
        """One SKU's shelf, or all of them."""
        with named_errors(), self._engine.connect() as connection:
            return [Shelf(*row) for row in connection.execute(text(_SHOW), {"sku": sku})]
