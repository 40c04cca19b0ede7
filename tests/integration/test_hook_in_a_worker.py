"""A real worker lives on, whatever the shop's code raises in its only thread."""

from pathlib import Path

from tests.workers import item, stage, until

ROOT = Path(__file__).parents[2]

HOOK = """
import asyncio


class OrderHook:
    def on_reserve(self, connection, order):
        if order["metadata"].get("ends"):
            raise asyncio.CancelledError("as of a time-out")


hook = OrderHook()
"""


def test_what_ends_a_thread_fails_one_receipt_and_no_message_stays(servers, template_database, tmp_path):
    (tmp_path / "shop_that_ends.py").write_text(HOOK)
    variables = {"ORDER_HOOK": "shop_that_ends:hook", "PYTHONPATH": f"{tmp_path}:{ROOT}", "WORKER_CONCURRENCY": "1"}
    with stage(servers, template_database, tmp_path, **variables) as house:
        house.start_gateway()
        ending, good = house.open_receipts(metadata={"ends": True}), house.open_receipts()
        house.push(*map(item, ending + good))

        house.start_worker()

        until(lambda: house.confirmed(*good))
        until(lambda: not house.left_over())
        (standing,) = house.ask("SELECT state, parks FROM payconfirm.confirmations WHERE state <> 'confirmed'")
        assert standing == ("received", 1)
        (why,) = house.ask("SELECT detail FROM payconfirm.steps WHERE detail LIKE '%CancelledError%'")
        assert why.detail.startswith("on_reserve: CancelledError: as of a time-out (shop_that_ends.py:")
