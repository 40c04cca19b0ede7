"""What people do to a receipt: done where it may be, refused with the reason where not, told, and adding up."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from confirmation.answers import GatewayReceipt, Silence
from confirmation.confirmation import Job
from confirmation.events import uuid7
from confirmation.operators import DECIDES, ON_ITS_WAY, TABLE_OF_ACTS
from confirmation.order import Order
from confirmation.ports import Terms, World
from confirmation.states import State
from sandbox.gateway.running import RunningGateway
from sandbox.twins import Fault, TwinLock
from tests.integration.duty_house import PAID, WON, open_house
from worker.duty import commands
from worker.duty.audit import audit
from worker.gateway import Account, BootpayGateway
from worker.store.operating import Operating
from worker.store.reading import Reading

ROOT = Path(__file__).parents[2]
KEYS = {"client_key": "sandbox-client", "secret_key": "sandbox-secret"}
#: Receipts of `House.fill` by the state they are in; `voiding` is made where it is needed.
IN_STATE = {
    State.RECEIVED: "received",
    State.SUBMITTING: "submitting",
    State.REVIEW: "review",
    State.REJECTED: "rejected",
    State.CONFIRMED: "confirmed",
    State.VOIDED: "voided",
}
SILENCE = Fault(Silence("timeout"), acts=False)


@pytest.fixture
def house(database_url):
    with open_house(database_url) as house:
        house.fill()
        yield house


@pytest.fixture
def world(house):
    lock, tick = TwinLock(house.clock), house.clock.tick
    return World(house.ledger, house.gateway, lock, Terms(), tick, lambda: 0.5, uuid7)


@pytest.fixture
def parts(world):
    return SimpleNamespace(world=world, hints=SimpleNamespace(outbox=lambda: None))


@pytest.fixture
def duty(parts, database_url, redis_url, monkeypatch):
    """Runs a command in this process, with the gateway in memory."""
    monkeypatch.setattr(commands.bootstrap, "build_worker", lambda _, **__: parts)
    monkeypatch.setattr(commands.logs, "configure", lambda _: None)
    keys = {"BOOTPAY_CLIENT_KEY": "x", "BOOTPAY_SECRET_KEY": "x"}
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url} | keys
    return lambda *arguments: CliRunner().invoke(commands.cli, arguments, env=given)


def row(house, receipt_id):
    with house.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT *, due_at <= clock_timestamp() AS due FROM payconfirm.confirmations WHERE receipt_id = %s",
            (receipt_id,),
        )
        return found.mappings().one()


def story(house, receipt_id):
    return Reading(house.engine).whole_story(receipt_id)


def state(house, receipt_id):
    return story(house, receipt_id).confirmation.state


def told(house, receipt_id):
    return [(event.sequence, event.type.removeprefix("payconfirm.")) for event in story(house, receipt_id).events]


def last_step(house, receipt_id):
    return story(house, receipt_id).steps[-1]


def shelf(house, sku):
    [found] = house.stock.show(sku)
    return found.available, found.held, found.sold


def hooked(house, receipt_id, known):
    """Have the shop's hook have done its part for it."""
    house.run("UPDATE payconfirm.confirmations SET hooked = :known WHERE receipt_id = :id", known=known, id=receipt_id)


def adds_up(house):
    return audit(house.engine, None, Console(stderr=True)).findings.listed == []


def carried(house, receipt_id):
    """What the sweep's message does."""
    house.again(Job(receipt_id, fence=house.fence(receipt_id)))
    return state(house, receipt_id)


def voiding_in_review(house, receipt_id, items=None):
    """A receipt whose items were given back, and whose money can't be: people are asked."""
    house.carry(receipt_id, items or {"cap": 1}, **PAID, virtual_account=True)
    assert state(house, receipt_id) is State.REVIEW
    assert row(house, receipt_id)["review_from"] == "voiding"


# Retry ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receipt_id", ["received", "submitting", "review", "rejected"])
def test_retry_has_it_looked_at_now(duty, house, receipt_id):
    house.run("UPDATE payconfirm.confirmations SET due_at = now() + interval '1 hour', idle_claims = 9"
              " WHERE receipt_id = :receipt_id", receipt_id=receipt_id)  # fmt: skip

    done = duty("retry", receipt_id)

    now = row(house, receipt_id)
    assert done.exit_code == 0, done.stderr
    assert (now["due"], now["asked"], now["idle_claims"]) == (True, True, 0)
    step = last_step(house, receipt_id)
    assert (step.phase, step.decided) == ("operator", "retry")
    assert step.detail.startswith("by ")
    assert adds_up(house)


@pytest.mark.parametrize("receipt_id", ["confirmed", "voided"])
def test_what_has_ended_well_or_is_back_is_not_looked_at_again(duty, house, receipt_id):
    before = row(house, receipt_id)

    done = duty("retry", receipt_id)

    assert (done.exit_code, done.stdout) == (1, "")
    assert f"{receipt_id} is {receipt_id}" in done.stderr
    assert dict(row(house, receipt_id)) == dict(before)


def test_the_statement_itself_leaves_what_has_ended_alone(house):
    """It may have ended after the person's look."""
    assert Operating(house.engine).retry("confirmed", "kim") is False
    assert row(house, "confirmed")["due_at"] is None
    assert adds_up(house)


@pytest.mark.parametrize("command", [["retry"], ["void", "--yes"], ["resolve", "--as", "voided"]])
def test_an_unknown_receipt_is_exit_1(duty, command):
    done = duty(command[0], "nobody", *command[1:])

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "no receipt nobody\n")


NONSENSE = [
    ["retry"],
    ["retry", "../r"],
    ["void", "r 1", "--yes"],
    ["void", "review", "--now"],
    ["resolve", "review"],
    ["resolve", "review", "--as", "paid"],
    ["resolve", "review", "--as", "review"],
    ["resolve", "../r", "--as", "voided"],
]


@pytest.mark.parametrize("command", NONSENSE)
def test_nonsense_gets_the_usage(duty, command):
    done = duty(*command)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


# Void -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("restock", "tees"), [([], (4, 4, 2)), (["--restock"], (6, 4, 0))])
def test_a_confirmed_receipt_is_voided_and_its_stock_comes_back_only_when_asked_for(duty, house, restock, tees):
    before = row(house, "confirmed")

    done = duty("void", "confirmed", "--yes", *restock)

    after = row(house, "confirmed")
    assert done.exit_code == 0, done.stderr
    assert (after["state"], after["reason"], after["void_reason"]) == ("voiding", "operator", "operator")
    assert (after["owns_order"], after["due"], after["leased_until"]) == (False, True, None)
    assert after["fence"] != before["fence"]
    assert shelf(house, "tee") == tees
    assert adds_up(house)

    assert carried(house, "confirmed") is State.VOIDED
    assert house.gateway.receipts["confirmed"].taken == 0
    assert told(house, "confirmed") == [(1, "confirmed"), (2, "voided")]
    assert row(house, "confirmed")["reason"] == "operator"
    assert shelf(house, "tee") == tees
    assert adds_up(house)


def test_void_gives_back_what_a_receipt_in_review_holds(duty, house):
    before = shelf(house, "tee")

    duty("void", "review_held", "--yes")

    after = row(house, "review_held")
    assert (after["state"], after["review_from"], after["owns_order"]) == ("voiding", None, False)
    assert shelf(house, "tee") == (before[0] + 1, before[1] - 1, before[2])
    assert adds_up(house)


def test_void_is_written_into_the_story(duty, house):
    duty("void", "confirmed", "--yes", "--restock")

    step = last_step(house, "confirmed")
    assert (step.phase, step.decided) == ("operator", "void, what was sold comes back")
    assert step.detail.endswith("it was confirmed")
    assert "operator" in duty("explain", "confirmed").stdout


def test_a_cancel_that_had_failed_is_tried_once_more(duty, house):
    """What was seen before would otherwise count as the second failure, and nothing would be sent."""
    house.carry("odd", {"cap": 1}, **PAID, virtual_account=True)
    vars(house.gateway.receipts["odd"]).update(api="v1", status=-20, virtual_account=False)
    for _ in range(3):
        carried(house, "odd")
    duty("void", "odd", "--yes")

    house.gateway.calls.clear()
    carried(house, "odd")

    assert ("cancel", "odd") in house.gateway.calls


@pytest.mark.parametrize("receipt_id", ["received", "submitting", "rejected", "voided"])
def test_void_says_why_it_does_not(duty, house, receipt_id):
    before = row(house, receipt_id)

    done = duty("void", receipt_id, "--yes")

    assert (done.exit_code, done.stdout) == (1, "")
    assert TABLE_OF_ACTS[State(before["state"])].void in done.stderr
    assert dict(row(house, receipt_id)) == dict(before)


def test_void_twice_is_once(duty, house):
    duty("void", "confirmed", "--yes")
    fence = row(house, "confirmed")["fence"]

    done = duty("void", "confirmed", "--yes", "--restock")

    assert done.exit_code == 1
    assert "on its way back already" in done.stderr
    assert row(house, "confirmed")["fence"] == fence
    assert shelf(house, "tee") == (4, 4, 2)


@pytest.mark.parametrize("receipt_id", ["submitting", "voided", "confirmed"])
def test_void_does_nothing_to_a_row_that_was_moved_since_the_person_looked(house, receipt_id):
    before = row(house, receipt_id)

    assert Operating(house.engine).void(receipt_id, State.REVIEW, "kim", restock=True) is False
    assert dict(row(house, receipt_id)) == dict(before)


@pytest.mark.parametrize("receipt_id", ["received", "submitting", "rejected", "voided"])
def test_the_statement_itself_voids_only_what_was_confirmed_or_is_in_review(house, receipt_id):
    assert Operating(house.engine).void(receipt_id, State(receipt_id), "kim", restock=True) is False


def test_without_anybody_to_ask_void_wants_yes(duty, house):
    done = duty("void", "confirmed")

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "payconfirm: nobody is there to be asked: say --yes\n"
    assert state(house, "confirmed") is State.CONFIRMED


@pytest.mark.parametrize("answered", [(b"n\n", 1, State.CONFIRMED), (b"y\n", 0, State.VOIDING)])
def test_on_a_terminal_a_person_is_asked(house, database_url, redis_url, answered):
    answer, code, then = answered
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    done = subprocess.run(
        [sys.executable, "-m", "worker", "void", "confirmed"], cwd=ROOT, stdin=theirs, check=False, timeout=60,
        env=os.environ | {"DATABASE_URL": database_url, "REDIS_URL": redis_url}, capture_output=True, text=True,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)

    assert done.returncode == code, done.stderr
    assert "send 3,000 KRW of order order-confirmed back, what was sold stays sold?" in done.stdout
    assert state(house, "confirmed") is then


# Resolve --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receipt_id", ["received", "submitting", "rejected", "confirmed", "voided"])
def test_only_what_is_in_review_is_resolved(duty, house, receipt_id):
    before = row(house, receipt_id)
    house.gateway.calls.clear()

    done = duty("resolve", receipt_id, "--as", "rejected", "--force")

    assert (done.exit_code, done.stdout) == (1, "")
    assert TABLE_OF_ACTS[State(before["state"])].resolve in done.stderr
    assert dict(row(house, receipt_id)) == dict(before)
    assert house.gateway.calls == []


@pytest.mark.parametrize(
    "case",
    [
        ("review_held", PAID, State.CONFIRMED),
        ("review_held", {"status": -2}, State.REJECTED),
        ("review_held", {"status": 20, "cancelled": 3000}, State.REJECTED),
        ("review", PAID, State.CONFIRMED),
        ("review", {"status": -2}, State.REJECTED),
    ],
)
@pytest.mark.parametrize("asked", ["confirmed", "rejected", "voided"])
def test_where_the_gateway_has_a_word_it_decides_whatever_was_asked(duty, house, case, asked):
    receipt_id, gateway, end = case
    vars(house.gateway.receipts[receipt_id]).update(gateway)

    done = duty("resolve", receipt_id, "--as", asked, "--force")

    assert done.exit_code == 0, done.stderr
    assert f"{receipt_id} is {end}" in done.stdout
    assert state(house, receipt_id) is end
    assert told(house, receipt_id) == [(1, "review"), (2, end.value)]
    assert adds_up(house)


@pytest.mark.parametrize("status", [{"status": 4}, {"api": "v1", "status": 3}, {"api": "v1", "status": -30}])
def test_what_is_in_flight_there_is_not_ended_here(duty, house, status):
    vars(house.gateway.receipts["review_held"]).update(status)

    done = duty("resolve", "review_held", "--as", "confirmed", "--force")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "that isn't over yet" in done.stderr
    assert state(house, "review_held") is State.REVIEW


def test_paid_and_not_yet_back_stays_the_gateways_word(duty, house):
    """A refund to a virtual account is people's work; the gateway will say so when it is done."""
    voiding_in_review(house, "va")

    done = duty("resolve", "va", "--as", "voided", "--force")

    assert done.exit_code == 1
    assert "the gateway says: paid; it follows the gateway" in done.stderr
    assert state(house, "va") is State.REVIEW


def test_without_force_nothing_is_changed_and_the_gateways_word_is_shown(duty, house):
    done = duty("resolve", "review", "--as", "rejected")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "the gateway says: a number nobody documented (status 77); nothing was changed; --force" in done.stderr
    assert state(house, "review") is State.REVIEW
    assert told(house, "review") == [(1, "review")]


@pytest.mark.parametrize("asked", [State.CONFIRMED, State.REJECTED, State.VOIDED])
@pytest.mark.parametrize("receipt_id", ["review", "review_held"])
def test_a_persons_word_ends_it_where_the_gateway_has_none(duty, house, receipt_id, asked):
    house.gateway.tell(receipt_id, "look_up", SILENCE)
    before = shelf(house, "tee")

    done = duty("resolve", receipt_id, "--as", asked, "--force")

    assert done.exit_code == 0, done.stderr
    after = row(house, receipt_id)
    assert (after["state"], after["reason"]) == (asked, None if asked is State.CONFIRMED else "operator")
    assert after["owns_order"] is (asked is State.CONFIRMED)
    assert (after["due_at"] is None) is (asked is not State.REJECTED)
    assert told(house, receipt_id) == [(1, "review"), (2, asked.value)]
    held = 1 if receipt_id == "review_held" else 0
    sold = 1 if asked is State.CONFIRMED else 0
    assert shelf(house, "tee") == (before[0] + held - sold, before[1] - held, before[2] + sold)
    step = last_step(house, receipt_id)
    assert (step.phase, step.seen, step.decided) == ("operator", "no word: timeout", f"resolve as {asked}")
    assert step.detail.startswith("by ")
    assert f"resolve as {asked}" in duty("explain", receipt_id).stdout
    assert adds_up(house)


def test_a_rejection_by_a_person_that_is_then_found_paid_goes_back(duty, house):
    duty("resolve", "review_held", "--as", "rejected", "--force")
    house.gateway.receipts["review_held"].pay()
    vars(house.gateway.receipts["review_held"]).update(status=1)

    assert carried(house, "review_held") is State.VOIDED
    assert told(house, "review_held") == [(1, "review"), (2, "rejected"), (3, "voided")]
    assert adds_up(house)


def test_what_is_not_in_stock_is_not_confirmed(duty, house):
    house.stock.set("tee", 0, "test")

    done = duty("resolve", "review", "--as", "confirmed", "--force")

    assert done.exit_code == 1
    assert "can't be confirmed: out_of_stock; it stays in review" in done.stderr
    after = row(house, "review")
    assert (after["state"], after["review_from"], after["leased_until"]) == ("review", "received", None)
    assert last_step(house, "review").decided == "resolve as confirmed, refused: out_of_stock"
    assert adds_up(house)


def test_an_order_that_another_receipt_owns_is_not_confirmed_twice(duty, house):
    house.run("UPDATE payconfirm.confirmations SET order_id = 'order-confirmed' WHERE receipt_id = 'review'")
    house.gateway.tell("review", "look_up", SILENCE)

    done = duty("resolve", "review", "--as", "confirmed", "--force")

    assert done.exit_code == 1
    assert "order_already_paid" in done.stderr


def from_voiding(house, receipt_id, *steps):
    """Let what is voiding meet a number that nobody documented."""
    house.gateway.receipts[receipt_id].status = 77
    for step in steps:
        step()
    assert carried(house, receipt_id) is State.REVIEW


def test_what_was_given_back_is_held_again_before_it_is_sold(duty, house):
    """A receipt has one line a SKU: the one that was released must not be in the way."""
    before = shelf(house, "tee")
    from_voiding(house, "review_held", lambda: duty("void", "review_held", "--yes"))

    done = duty("resolve", "review_held", "--as", "confirmed", "--force")

    assert done.exit_code == 0, done.stderr
    assert shelf(house, "tee") == (before[0], before[1] - 1, before[2] + 1)
    assert adds_up(house)


def test_what_stayed_sold_is_not_sold_a_second_time(duty, house):
    before = shelf(house, "tee")
    from_voiding(house, "confirmed", lambda: duty("void", "confirmed", "--yes"))

    done = duty("resolve", "confirmed", "--as", "confirmed", "--force")

    assert done.exit_code == 0, done.stderr
    assert shelf(house, "tee") == before
    assert told(house, "confirmed")[-1] == (3, "confirmed")
    assert adds_up(house)


def test_a_worker_that_has_it_keeps_it(duty, house):
    """Its lease runs: whatever it does is not done a second time by a person."""
    house.ledger.claim(Job("review", fence=house.fence("review")), 10)
    fence = row(house, "review")["fence"]
    house.gateway.calls.clear()

    done = duty("resolve", "review", "--as", "rejected", "--force")

    assert done.exit_code == 1
    assert "a worker is on it" in done.stderr
    assert (row(house, "review")["fence"], house.gateway.calls) == (fence, [])


def before_the_claim(monkeypatch, meanwhile):
    """Have something happen between the look and the person's claim, the fourth reading of the row."""
    real, calls = Operating.standing, count(1)

    def standing(rows, receipt_id):
        if next(calls) == 4:
            meanwhile()
        return real(rows, receipt_id)

    monkeypatch.setattr(Operating, "standing", standing)


def test_what_left_review_after_the_look_stays_as_it_is(duty, house, monkeypatch):
    """A worker may have ended it: its row is claimed and given back unchanged."""
    ends = (
        "UPDATE payconfirm.confirmations SET state = 'rejected', review_from = NULL, reason = 'declined'"
        " WHERE receipt_id = 'review'"
    )
    before_the_claim(monkeypatch, lambda: house.run(ends))

    done = duty("resolve", "review", "--as", "voided", "--force")

    assert done.exit_code == 1
    assert "by now: nothing was changed" in done.stderr
    after = row(house, "review")
    assert (after["state"], after["reason"], after["leased_until"]) == ("rejected", "declined", None)


def test_a_worker_that_came_after_the_look_keeps_it(duty, house, monkeypatch):
    before_the_claim(monkeypatch, lambda: house.ledger.claim(Job("review", fence=house.fence("review")), 10))

    done = duty("resolve", "review", "--as", "voided", "--force")

    assert done.exit_code == 1
    assert "a worker is on it" in done.stderr
    assert state(house, "review") is State.REVIEW


def test_without_a_call_that_is_free_no_word_is_taken(duty, house, parts):
    """A person's word counts only once the gateway was asked."""
    parts.world = replace(parts.world, budget=lambda **_: False)
    house.gateway.calls.clear()

    done = duty("resolve", "review", "--as", "voided", "--force")

    assert done.exit_code == 1
    assert "the gateway may not be asked" in done.stderr
    assert (state(house, "review"), house.gateway.calls) == (State.REVIEW, [])


def test_a_crash_between_holding_and_ending_leaves_it_to_the_rules(duty, house, monkeypatch):
    monkeypatch.setattr(house.ledger, "write", refuse_ends(house.ledger.write))

    done = duty("resolve", "review", "--as", "confirmed", "--force")

    assert done.exit_code != 0
    after = row(house, "review")
    assert (after["state"], after["review_from"], after["owns_order"]) == ("review", "submitting", True)
    assert adds_up(house)


def refuse_ends(write):
    def crashes(commit):
        if commit.after.state is State.CONFIRMED:
            raise RuntimeError("killed")
        return write(commit)

    return crashes


def test_every_word_of_the_gateway_is_either_decisive_on_its_way_or_none():
    assert not DECIDES & ON_ITS_WAY
    assert set(TABLE_OF_ACTS) == set(State)


def test_the_whole_way_with_the_real_client(house, database_url, redis_url):
    with RunningGateway(port=0) as sandbox:
        gateway = BootpayGateway(Account("v2", sandbox.url, **KEYS), tick=house.clock.tick)
        receipt_id = sandbox.open(order_id="order-1", price=3000)
        house.gateway.tell(receipt_id, "look_up", Fault(GatewayReceipt("v2", 77, "order-1", WON)))
        house.again(Job(receipt_id, Order(receipt_id, "order-1", WON)))
        assert state(house, receipt_id) is State.REVIEW
        sandbox.change(receipt_id, status=1)
        environment = os.environ | {
            "DATABASE_URL": database_url, "REDIS_URL": redis_url, "BOOTPAY_URL": sandbox.url,
            "BOOTPAY_CLIENT_KEY": KEYS["client_key"], "BOOTPAY_SECRET_KEY": KEYS["secret_key"],
        }  # fmt: skip
        resolve = [sys.executable, "-m", "worker", "resolve", receipt_id, "--as", "rejected"]
        done = subprocess.run(
            resolve, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        void = [sys.executable, "-m", "worker", "void", receipt_id, "--yes"]
        voided = subprocess.run(
            void, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        house.again(Job(receipt_id, fence=house.fence(receipt_id)), gateway)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"the gateway says: paid\n{receipt_id} is confirmed\n"
    assert voided.returncode == 0
    assert told(house, receipt_id) == [(1, "review"), (2, "confirmed"), (3, "voided")]


def test_explain_as_data_names_the_person(duty):
    duty("retry", "review")

    steps = json.loads(duty("explain", "review", "--json").stdout)["steps"]

    assert steps[-1]["phase"] == "operator"
    assert steps[-1]["detail"].startswith("by ")


@pytest.mark.parametrize(
    ("command", "receipt_id", "known"),
    [
        (("void", "--yes"), "review_held", "reserved"),
        (("void", "--yes"), "confirmed", "committed"),
        (("resolve", "--as", "voided", "--force"), "review_held", "reserved"),
    ],
)
def test_what_was_done_under_the_shops_hook_is_not_undone_without_it(duty, house, command, receipt_id, known):
    hooked(house, receipt_id, known)
    before, steps = row(house, receipt_id), story(house, receipt_id).steps

    done = duty(command[0], receipt_id, *command[1:])

    assert done.exit_code == 1
    assert f"{receipt_id} was {known} under a hook: set ORDER_HOOK; nothing was changed" in done.output
    assert (row(house, receipt_id), story(house, receipt_id).steps) == (before, steps)
