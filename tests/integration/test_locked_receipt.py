"""A receipt whose row somebody has locked, as a producer's open transaction can: it costs a thread seconds, no more."""

from uuid import uuid4

from sqlalchemy import text

from tests.workers import body, envelope, item, stage, until

#: What a row looks like that the sweep has sent before.
PARKED = """
INSERT INTO payconfirm.confirmations (receipt_id, order_id, amount, currency, items, metadata, state, fence, due_at,
                                      created_at, updated_at, state_since)
VALUES (:receipt_id, :order_id, 3000, 'KRW', '{}', '{}', 'received', :fence, now(), now(), now(), now())
"""
LOCK = "SELECT FROM payconfirm.confirmations WHERE receipt_id = :receipt_id FOR UPDATE"


def test_a_workers_only_thread_isnt_held_by_a_receipt_that_is_locked(servers, template_database, tmp_path):
    with stage(servers, template_database, tmp_path, WORKER_CONCURRENCY="1") as house:
        house.start_gateway()
        locked, good = house.open_receipts(2)
        fence = str(uuid4())
        named = {"receipt_id": locked["receipt_id"]}
        with house.engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            connection.execute(text(PARKED), {**named, "order_id": locked["order_id"], "fence": fence})
        worker = house.ready_worker()

        with house.engine.execution_options(isolation_level="READ COMMITTED").begin() as shop:
            shop.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            shop.execute(text(LOCK), named)
            again = {**envelope()["headers"], "task": "payconfirm.again"}
            house.push(item(body=body(locked["receipt_id"], fence), headers=again), item(good))
            until(lambda: house.confirmed(good))
            assert house.states()[locked["receipt_id"]] == "received"

        house.start("relay", house.lines["relay"])
        until(lambda: house.confirmed(locked))
        worker.check()
