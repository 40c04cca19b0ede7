"""The sandbox's shop: its orders and coupons say what became of the payment, in the commit that does."""

import copy
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from confirmation.states import State
from sandbox.demo.programs import read_procfile
from sandbox.shop import command
from tests.integration.cell_house import SUBMIT_IS_OVER
from worker import hook
from worker.duty import commands
from worker.store.ledger import Ledger

ROOT = Path(__file__).parents[2]
NAMED = "sandbox.shop.hook:hook"
NUMBERS = count(1)
NOWHERE = {
    "DATABASE_URL": "postgresql://shop:secret@127.0.0.1:1/shop",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "BOOTPAY_CLIENT_KEY": "x",
    "BOOTPAY_SECRET_KEY": "x",
}


class Shop:
    """The shop's tables, and payments of its orders."""

    def __init__(self, house):
        self.house = copy.copy(house)
        self.house.ledger = Ledger(house.engine, hook=hook.load(NAMED))

    def place(self, coupon=None, *, taken_by=None, expires="1 day"):
        """Place an order, with a coupon of its own."""
        order_id = f"shop-{next(NUMBERS)}"
        code = coupon and f"{coupon}-{order_id}"
        if code:
            self._run(
                "INSERT INTO shop.coupons VALUES (:code, now() + CAST(:expires AS interval), :by)",
                code=code, expires=expires, by=taken_by,
            )  # fmt: skip
        self._run("INSERT INTO shop.orders (order_id, coupon) VALUES (:order_id, :code)", order_id=order_id, code=code)
        return order_id

    def cancel(self, order_id):
        self._run("UPDATE shop.orders SET status = 'cancelled' WHERE order_id = :order_id", order_id=order_id)

    def says(self, order_id):
        """The order's status, and who has its coupon."""
        statement = """
            SELECT o.status, c.taken_by FROM shop.orders o LEFT JOIN shop.coupons c ON c.code = o.coupon
            WHERE o.order_id = :order_id
        """
        with self.house.engine.connect() as connection:
            return tuple(connection.execute(text(statement), {"order_id": order_id}).one())

    def pay(self, order_id, **receipt):
        """Have a receipt of the order carried as far as it goes."""
        receipt_id = self.house.begin(order_id=order_id, **receipt)
        return receipt_id, self.house.seen(receipt_id)

    def _run(self, statement, **values):
        with self.house.engine.connect() as connection:
            connection.execute(text(statement), values)


@pytest.fixture(scope="module")
def shop(cell_houses):
    house = cell_houses["v2"]
    url = house.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        assert [command.main(["--migrate"]) for _ in range(2)] == [0, 0], "safe to repeat"
    return Shop(house)


def test_the_order_is_paid_and_its_coupon_taken_in_the_commit_that_confirms(shop):
    order_id = shop.place("ten")

    _, standing = shop.pay(order_id)

    assert standing.state is State.CONFIRMED
    assert shop.says(order_id) == ("paid", order_id)


@pytest.mark.parametrize("coupon", [{"taken_by": "another"}, {"expires": "-1 second"}])
def test_an_order_with_a_coupon_that_is_not_good_is_not_charged(shop, coupon):
    order_id = shop.place("ten", **coupon)

    receipt_id, standing = shop.pay(order_id)

    assert standing.ended == "rejected refused_by_hook"
    assert shop.house.account(receipt_id).moved == []
    assert shop.says(order_id) == ("placed", coupon.get("taken_by"))


def test_an_order_that_the_shop_does_not_know_is_not_charged(shop):
    receipt_id, standing = shop.pay("nobody-placed-this")

    assert standing.ended == "rejected refused_by_hook"
    assert shop.house.account(receipt_id).moved == []


def test_an_order_that_could_not_be_paid_is_paid_by_another_receipt(shop):
    order_id = shop.place("ten")
    receipt_id = shop.house.begin(order_id=order_id)
    shop.house.sandbox.script("approve", "decline", receipt_id=receipt_id)
    shop.house.look(receipt_id)
    assert shop.says(order_id) == ("failed", None)

    assert shop.pay(order_id)[1].state is State.CONFIRMED
    assert shop.says(order_id) == ("paid", order_id)


def held_in_review(shop, order_id):
    receipt_id = shop.house.begin(order_id=order_id)
    shop.house.sandbox.script("approve", "no_answer", receipt_id=receipt_id)
    shop.house.look(receipt_id)
    shop.house.sandbox.change(receipt_id, status=77)
    shop.house.let_pass(receipt_id, SUBMIT_IS_OVER)
    assert shop.house.seen(receipt_id).state is State.REVIEW
    assert shop.says(order_id) == ("pending", order_id)
    return receipt_id


def test_an_order_that_is_cancelled_while_it_is_paid_gets_its_money_back(shop):
    order_id = shop.place("ten")
    receipt_id = held_in_review(shop, order_id)
    shop.cancel(order_id)
    shop.house.sandbox.change(receipt_id, status=1)

    standing = shop.house.until_it_rests(receipt_id, ends=(State.VOIDED, State.CONFIRMED))

    assert standing.ended == "voided refused_by_hook"
    assert shop.house.account(receipt_id).kept == 0
    assert shop.says(order_id) == ("cancelled", None)


# The hook in each process that runs it --------------------------------------------------------------------------------


def duty(shop, *words, **variables):
    """Run a command of the people on duty, on the shop's database."""
    url = shop.house.engine.url.render_as_string(hide_password=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands.logs, "configure", lambda _: None)
        return CliRunner().invoke(commands.cli, words, env=NOWHERE | {"DATABASE_URL": url} | variables)


def test_the_command_that_voids_gives_the_coupon_back_at_once(shop):
    order_id = shop.place("ten")
    receipt_id = held_in_review(shop, order_id)

    done = duty(shop, "void", receipt_id, "--yes", ORDER_HOOK=NAMED)

    assert done.exit_code == 0, done.output
    assert shop.says(order_id) == ("failed", None)


def test_a_paid_order_is_refunded_in_the_commit_that_ends_its_receipt(shop):
    order_id = shop.place("ten")
    receipt_id, _ = shop.pay(order_id)

    duty(shop, "void", receipt_id, "--yes", ORDER_HOOK=NAMED)
    assert shop.says(order_id) == ("paid", order_id)
    shop.house.look_if_due(receipt_id)

    assert shop.house.standing(receipt_id).state is State.VOIDED
    assert shop.says(order_id) == ("refunded", None)


@pytest.mark.parametrize(
    ("words", "code"),
    [(["void", "abc", "--yes"], 2), (["resolve", "abc", "--as", "voided"], 2), (["explain", "abc"], 1)],
)
def test_a_command_that_runs_the_hook_ends_where_there_is_none(shop, words, code):
    done = duty(shop, *words, ORDER_HOOK="nowhere_at_all:hook")

    assert done.exit_code == code
    assert ("ORDER_HOOK: nowhere_at_all can't be imported" in done.output) is (code == 2)


def test_a_worker_ends_at_its_start_where_there_is_no_hook(monkeypatch):
    """Not at its first payment."""
    for name, value in {**NOWHERE, "ORDER_HOOK": "sandbox.shop.tables:TABLES"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}")

    ended = subprocess.run(read_procfile()["worker"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 2
    assert "ORDER_HOOK: sandbox.shop.tables:TABLES has none of on_reserve, on_commit" in ended.stderr
    assert "secret" not in ended.stderr


def test_the_shops_tables_need_a_database(monkeypatch, capsys):
    monkeypatch.delenv("DATABASE_URL", raising=False)

    assert command.main(["--migrate"]) == 2
    assert "DATABASE_URL" in capsys.readouterr().err
