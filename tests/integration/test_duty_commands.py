"""The command line: what it says, where it says it, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from confirmation.answers import Silence
from confirmation.confirmation import Job
from confirmation.errors import DifferentDocument
from confirmation.order import Money, Order
from confirmation.states import State
from sandbox.gateway.running import RunningGateway
from sandbox.twins import Clock, TwinGateway
from tests.integration.duty_house import WON, open_house
from worker.broker.redis import make_redis
from worker.duty import commands
from worker.gateway import Account, BootpayGateway
from worker.gateway.sparing import SPARED, SparedGateway
from worker.store.dead_letters import DeadLetter, DeadLetters
from worker.store.migrations import newest
from worker.store.reading import _OF_ORDER

ROOT = Path(__file__).parents[2]
KEYS = {"client_key": "sandbox-client", "secret_key": "sandbox-secret"}
#: Nobody listens there; the password must never be shown.
AWAY = "postgresql://shop:hunter2@127.0.0.1:1/shop"

NEED_THE_SCHEMA = [
    ["audit"],
    ["audit", "--json"],
    ["explain", "r-1"],
    ["dead-letters"],
    ["stock", "show"],
    ["stock", "set", "tee", "1"],
]
NONSENSE = [
    ["explain"],
    ["explain", "r" * 65],
    ["explain", ""],
    ["explain", "r\n1"],
    ["explain", "r\udc80"],
    ["retry", "../r-1"],
    ["retry", "r 1"],
    ["retry", "r" * 65],
    ["retry", "영수증"],
    ["callbacks", "--receipt", "../r-1"],
    ["stock", "set", "tee"],
    ["stock", "set", "tee", "many"],
    ["stock", "set", "tee", "1.5"],
    ["stock", "set", "tee", str(10**12 + 1)],
    ["stock", "set", "tee", "--", "-1"],
    ["stock", "set", "", "1"],
    ["stock", "set", "t" * 129, "1"],
    ["stock", "set", "tee\n", "1"],
    ["stock", "set", "tee\udc80", "1"],
    ["stock", "show", "tee\x00"],
    ["audit", "--all"],
    ["frobnicate"],
]


@pytest.fixture
def house(database_url):
    with open_house(database_url) as house:
        yield house


@pytest.fixture
def duty(database_url, redis_url, monkeypatch):
    """Runs a command in this process; the logs of the other tests stay as they are."""
    monkeypatch.setattr(commands.logs, "configure", lambda _: None)

    def run(*arguments, **environment):
        given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url} | environment
        return CliRunner().invoke(commands.cli, arguments, env=given)

    return run


def as_process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("command", NEED_THE_SCHEMA)
def test_without_the_schema_one_line_says_what_to_do(duty, house, command):
    house.run("DROP SCHEMA payconfirm CASCADE")

    done = duty(*command)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "payconfirm: the schema isn't there, or is older than this code: run python -m worker migrate\n"
    )


@pytest.mark.parametrize("command", [*NEED_THE_SCHEMA, ["migrate"]])
def test_without_a_database_one_line_says_which(duty, command):
    done = duty(*command, DATABASE_URL=AWAY)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("payconfirm: the database doesn't answer: connection to server at")
    assert "Connection refused" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_a_process_without_a_database_ends_without_a_traceback(redis_url):
    done = as_process("audit", DATABASE_URL=AWAY, REDIS_URL=redis_url)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_a_lock_that_somebody_holds_is_said_to_be_that(duty, house):
    with house.engine.execution_options(isolation_level="READ COMMITTED").begin() as holder:
        holder.exec_driver_sql("LOCK TABLE payconfirm.stock IN ACCESS EXCLUSIVE MODE")

        done = duty("stock", "show")

    assert done.exit_code == 2
    assert done.stderr.startswith("payconfirm: the database is too busy, or somebody holds a lock: try again")


def test_a_user_who_may_not_read_is_told_so(duty, house, database_url):
    house.run("CREATE ROLE nobody_yet LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA payconfirm TO nobody_yet")
    try:
        host = database_url.partition("@")[2]
        done = duty("stock", "show", DATABASE_URL=f"postgresql://nobody_yet:x@{host}")
    finally:
        house.run("DROP OWNED BY nobody_yet; DROP ROLE nobody_yet")

    assert done.exit_code == 2
    assert done.stderr == "payconfirm: the database refuses: permission denied for table stock\n"


@pytest.mark.parametrize("command", NONSENSE)
def test_nonsense_gets_the_usage(duty, command):
    done = duty(*command)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


def test_migrate_may_be_repeated(duty):
    done = duty("migrate")

    assert (done.exit_code, done.stdout) == (0, f"schema payconfirm is at revision {newest()}\n")


def test_stock_is_set_and_shown(duty):
    assert duty("stock", "set", "tee [red] 한", "10").exit_code == 0
    assert duty("stock", "set", "cap", str(10**12)).exit_code == 0
    assert duty("stock", "set", "tee [red] 한", "0").exit_code == 0

    every = duty("stock", "show")
    one = duty("stock", "show", "cap")

    assert [line.split() for line in every.stdout.splitlines()] == [
        ["SKU", "available", "held", "sold"],
        ["cap", str(10**12), "0", "0"],
        ["tee", "[red]", "한", "0", "0", "0"],
    ]
    assert [line.split()[0] for line in one.stdout.splitlines()] == ["SKU", "cap"]


def test_what_is_set_is_written_down(duty, house):
    duty("stock", "set", "tee", "10")
    duty("stock", "set", "tee", "4")

    with house.engine.connect() as connection:
        changes = connection.exec_driver_sql("SELECT change, why FROM payconfirm.stock_changes ORDER BY number")
        assert [tuple(row) for row in changes] == [(10, "set by hand"), (-6, "set by hand")]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["explain", "r-1"], "no receipt and no order r-1\n"),
        (["explain", "주문 1' OR '1'='1"], "no receipt and no order 주문 1' OR '1'='1\n"),
        (["explain", "%"], "no receipt and no order %\n"),
        (["callbacks", "--receipt", "r-1"], "no receipt r-1\n"),
        (["stock", "show", "tee"], "no SKU tee in stock\n"),
    ],
)
def test_what_nobody_knows_is_exit_1(duty, command, words):
    done = duty(*command)

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", words)


def test_explain_tells_a_person_and_a_program(duty, house):
    house.carry("r-1")

    assert "payconfirm.confirmed" in duty("explain", "r-1").stdout
    assert json.loads(duty("explain", "r-1", "--json").stdout)["state"] == "confirmed"


@pytest.mark.parametrize("order_id", ["order-r-1", "주문 7/가 (100%)", "' OR 1=1 --"])
def test_a_payment_is_found_by_its_order(duty, house, order_id):
    house.carry("r-1")
    house.run("UPDATE payconfirm.confirmations SET order_id = :order_id", order_id=order_id)

    assert duty("explain", order_id).stdout.split()[:2] == ["receipt", "r-1"]
    assert json.loads(duty("explain", order_id, "--json").stdout)["receipt_id"] == "r-1"


def test_where_an_order_has_several_receipts_they_are_listed_to_be_named(duty, house):
    house.carry("r-1", status=-2)
    house.carry("r-2")
    house.run("UPDATE payconfirm.confirmations SET order_id = 'order-1'")

    shown = duty("explain", "order-1")
    listed = json.loads(duty("explain", "order-1", "--json").stdout)

    lines = [line.split() for line in shown.stdout.splitlines()]
    assert shown.exit_code == 0
    assert [line[:3] for line in lines[1:3]] == [
        ["r-1", "rejected", "payment_failed"],
        ["r-2", "confirmed", lines[2][2]],
    ]
    assert shown.stdout.endswith("order order-1 has 2 receipts: name one for its story\n")
    assert listed["order_id"] == "order-1"
    assert [set(receipt) for receipt in listed["receipts"]] == [{"receipt_id", "state", "reason", "created_at"}] * 2
    assert [receipt["reason"] for receipt in listed["receipts"]] == ["payment_failed", None]


def test_a_receipt_goes_before_an_order_of_the_same_name(duty, house):
    house.carry("r-1")
    house.carry("r-2")
    house.run("UPDATE payconfirm.confirmations SET order_id = 'r-1' WHERE receipt_id = 'r-2'")

    assert json.loads(duty("explain", "r-1", "--json").stdout)["receipt_id"] == "r-1"


def test_an_order_is_found_by_an_index(house):
    """A buyer is on the phone, and a million receipts are read for seconds."""
    house.run(
        "INSERT INTO payconfirm.confirmations"
        " (receipt_id, order_id, amount, currency, items, metadata, state, created_at, updated_at, state_since)"
        " SELECT 'r' || n, 'order-' || n, 1, 'KRW', '{}', '{}', 'rejected', now(), now(), now()"
        " FROM generate_series(1, 5000) n; ANALYZE payconfirm.confirmations"
    )
    with house.engine.connect() as connection:
        plan = connection.execute(text("EXPLAIN " + _OF_ORDER), {"order_id": "order-7", "most": 100}).scalars().all()

    assert "confirmations_of_order" in "\n".join(plan)


def test_dead_letters_are_listed_for_people_and_as_the_contract_says(duty, house):
    assert duty("dead-letters").stdout == "none\n"
    DeadLetters(house.engine).keep(DeadLetter("celery", "amount: \x1b[2J", b"\xff\x00", "r-1"))

    listed = json.loads(duty("dead-letters", "--json").stdout)
    shown = duty("dead-letters").stdout

    assert [set(letter) for letter in listed] == [{"id", "at", "source", "reason", "receipt_id", "raw_base64"}]
    assert (listed[0]["raw_base64"], listed[0]["receipt_id"]) == ("/wA=", "r-1")
    assert "celery" in shown
    assert "amount: \\x1b[2J" in shown


def test_a_dead_letter_names_the_payment_that_it_is_about(duty, house):
    document = json.dumps([[{"order_id": "주문\x1b-7", "amount": 3000}], {}, {}]).encode()
    DeadLetters(house.engine).keep(DeadLetter("celery", "receipt_id: is missing", document))

    shown = duty("dead-letters").stdout

    assert "주문\\x1b-7" in shown
    assert "3,000 KRW" in shown


def test_who_refuses_a_different_document_names_both_orders(house):
    """Else a person has to unpack the raw bytes to learn whose payment was refused."""
    house.ledger.keep(Order("r-1", "order-1", WON), 2)
    refused = "receipt r-1 is used by a document with another "

    with pytest.raises(DifferentDocument) as both:
        house.ledger.keep(Order("r-1", "order-2", Money(1050, "USD")), 2)
    with pytest.raises(DifferentDocument) as items:
        house.ledger.keep(Order("r-1", "order-1", WON, {"tee": 1}), 2)

    differs = "order_id and amount and currency"
    assert str(both.value) == f"{refused}{differs}: order-1 for 3000 KRW stands, order-2 for 10.50 USD came"
    assert str(items.value) == f"{refused}items"


def test_a_list_that_is_cut_says_so(duty, house, monkeypatch):
    monkeypatch.setattr(commands, "MOST_DEAD_LETTERS", 2)
    for number in range(3):
        DeadLetters(house.engine).keep(DeadLetter("celery", f"fault {number}", b""))

    done = duty("dead-letters", "--json")

    assert len(json.loads(done.stdout)) == 2
    assert done.stderr == "these are the newest 2; there may be more\n"


def test_an_audit_ends_with_its_verdict(duty, house):
    house.fill()
    clean = duty("audit")
    house.run("UPDATE payconfirm.stock SET available = available + 1 WHERE sku = 'tee'")
    one = duty("audit")
    house.run("UPDATE payconfirm.confirmations SET due_at = NULL WHERE receipt_id = 'received'")
    two = duty("audit")

    assert [(done.exit_code, done.stdout.splitlines()[-1]) for done in (clean, one, two)] == [
        (0, "all adds up"),
        (1, "1 thing doesn't add up"),
        (1, "2 things don't add up"),
    ]
    assert "8 receipts: 1 confirmed, 1 received, 2 rejected, 2 review, 1 submitting, 1 voided" in clean.stdout
    assert "confirmed 3,000 KRW" in clean.stdout
    assert "gateway_unclear" in clean.stdout
    assert "5 available; put in 10, less 4 held and 2 sold, makes 4" in one.stdout


def test_an_audit_of_one_receipt_says_so(duty, house):
    house.carry("r-1")

    assert "1 receipt: 1 confirmed" in duty("audit").stdout


def test_an_audit_as_data_has_the_same_verdict(duty, house):
    house.fill()
    house.run("UPDATE payconfirm.stock SET available = available + 1 WHERE sku = 'tee'")

    done = duty("audit", "--json")
    report = json.loads(done.stdout)

    assert done.exit_code == 1
    assert (report["ok"], report["receipts"], report["by_state"]["review"]) == (False, 8, 2)
    assert [(finding["check"], finding["sku"]) for finding in report["findings"]] == [("stock", "tee")]
    assert {row["receipt_id"]: (row["reason"], row["from"]) for row in report["review"]} == {
        "review": ("gateway_unclear", "received"),
        "review_held": ("gateway_unclear", "submitting"),
    }
    assert report["money"] == {"KRW": {"confirmed": 3000}}
    assert set(report["waiting"]) == {"events_unpublished", "results_unstored", "dead_letters"}


def test_the_gateways_own_books_are_compared(house, database_url, redis_url):
    """The whole way: a process of its own, the real client, the sandbox gateway."""
    with RunningGateway(port=0) as sandbox:
        gateway = BootpayGateway(Account("v2", sandbox.url, **KEYS), tick=house.clock.tick)
        receipts = [sandbox.open(order_id=f"order-{number}", price=3000) for number in (1, 2)]
        for number, receipt_id in enumerate(receipts, 1):
            house.again(Job(receipt_id, Order(receipt_id, f"order-{number}", WON)), gateway)
        environment = {
            "DATABASE_URL": database_url, "REDIS_URL": redis_url, "BOOTPAY_URL": sandbox.url,
            "BOOTPAY_CLIENT_KEY": KEYS["client_key"], "BOOTPAY_SECRET_KEY": KEYS["secret_key"],
        }  # fmt: skip
        clean = as_process("audit", "--gateway", "--json", **environment)
        sandbox.change(receipts[0], status=20)
        drifted = as_process("audit", "--gateway", **environment)

    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert json.loads(clean.stdout)["money"] == {"KRW": {"confirmed": 6000, "paid_at_gateway": 6000}}
    assert drifted.returncode == 1
    assert "confirmed 6,000 KRW, paid at gateway 3,000 KRW" in drifted.stdout
    assert "confirmed here, but the gateway says: cancelled in full" in drifted.stdout
    assert drifted.stdout.splitlines()[-1] == "1 thing doesn't add up"


def test_a_person_who_resolves_asks_the_gateway_even_while_workers_spare_it(house, database_url, redis_url):
    """Else a word could be forced on a receipt that the gateway was never asked about."""
    with RunningGateway(port=0) as sandbox, make_redis(redis_url) as redis:
        gateway = BootpayGateway(Account("v2", sandbox.url, **KEYS), tick=house.clock.tick)
        receipt_id = sandbox.open(order_id="order-1", price=3000)
        sandbox.change(receipt_id, status=77)
        assert house.again(Job(receipt_id, Order(receipt_id, "order-1", WON)), gateway).state is State.REVIEW
        sandbox.change(receipt_id, status=1)
        mark_away(redis)

        done = as_process("resolve", receipt_id, "--as", "rejected", "--force", DATABASE_URL=database_url,
            REDIS_URL=redis_url, BOOTPAY_URL=sandbox.url, BOOTPAY_CLIENT_KEY=KEYS["client_key"],
            BOOTPAY_SECRET_KEY=KEYS["secret_key"],
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["the gateway says: paid", f"{receipt_id} is confirmed"]


def mark_away(redis):
    """Say that the gateway wants to be left alone for a minute."""
    spared = SparedGateway(TwinGateway(Clock()), redis)
    spared._hear(Silence("http 429", retry_after_seconds=60))
    assert spared.look_up("r1", start_by=0) is SPARED


def test_asking_the_gateway_takes_its_keys(duty):
    done = duty("audit", "--gateway")

    assert done.exit_code == 2
    assert "BOOTPAY_SECRET_KEY" in done.stderr
