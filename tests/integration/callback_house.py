"""Callbacks without a broker: events in a real database, sent off and delivered in this process."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, text

from tests import ledgers
from worker.callbacks.delivery import Delivery
from worker.callbacks.hosts import AllowedHosts
from worker.callbacks.sending import Post
from worker.callbacks.signing import Signing
from worker.store.callbacks import Callbacks
from worker.store.calling import Calling
from worker.store.ledger import Ledger

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 80))).decode()


class House:
    """Tells events, and carries their callbacks."""

    def __init__(self, engine: Engine, hosts: str = "127.0.0.1", secrets: str = SECRET, **post: Any) -> None:
        self.engine = engine
        self.ledger = Ledger(engine)
        self.calling = Calling(engine)
        self.callbacks = Callbacks(engine)
        allowed = AllowedHosts(hosts)
        self.delivery = Delivery(self.calling, allowed, Signing(secrets.split()), Post(allowed, **post))

    def confirm(self, receipt_id: str, url: str | None) -> str:
        """Confirm a receipt; give its event's id."""
        order = replace(ledgers.order(receipt_id), callback_url=url)
        claimed = ledgers.claimed(self.ledger, order)
        ledgers.confirmed(self.ledger, ledgers.reserve(self.ledger, claimed))
        [event] = self.ask("SELECT id FROM payconfirm.outbox WHERE receipt_id = :r", r=receipt_id)
        return str(event.id)

    def tell_more(self, receipt_id: str) -> str:
        """Write one more event of a receipt."""
        [event] = self.ask(
            "INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)"
            " SELECT gen_random_uuid(), receipt_id, sequence + 1, 'payconfirm.voided',"
            " document || jsonb_build_object('sequence', sequence + 1), clock_timestamp(), true"
            " FROM payconfirm.outbox WHERE receipt_id = :r ORDER BY sequence DESC LIMIT 1 RETURNING id",
            r=receipt_id,
        )
        return str(event.id)

    def turn(self, most: int = 100) -> int:
        """Send off what is due and deliver it, all at once; say how many that were."""
        leaving = self.calling.take(most)
        with ThreadPoolExecutor(max(len(leaving), 1)) as threads:
            for each in [threads.submit(self.delivery.carry, one.id, one.fence, lambda run: run()) for one in leaving]:
                each.result()
        return len(leaving)

    def make_due(self) -> None:
        """Let the waiting be over."""
        self.ask("UPDATE payconfirm.callbacks SET due_at = clock_timestamp() WHERE state = 'pending' RETURNING id")

    def row(self, callback_id: str) -> Any:
        [row] = self.ask("SELECT * FROM payconfirm.callbacks WHERE id = CAST(:id AS uuid)", id=callback_id)
        return row

    def wait_of(self, callback_id: str) -> float:
        """In how many seconds it is due."""
        [row] = self.ask(
            "SELECT extract(epoch FROM due_at - clock_timestamp())::float AS seconds FROM payconfirm.callbacks"
            " WHERE id = CAST(:id AS uuid)",
            id=callback_id,
        )
        return float(row.seconds)

    def states(self) -> list[str]:
        return [row.state for row in self.ask("SELECT state FROM payconfirm.callbacks ORDER BY number")]

    def ask(self, statement: str, **values: object) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), values))
