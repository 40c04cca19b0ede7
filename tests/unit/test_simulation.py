"""The simulation keeps every promise, and sees it when a guard is taken out."""

import shlex
from dataclasses import replace
from uuid import UUID

import pytest

from confirmation import answers, decisions, operators, phases, waits
from confirmation.answers import Seen, Silence
from confirmation.decisions import TABLE, Decision, Refusal, Verb
from confirmation.events import result_document
from confirmation.hooks import CALLED, Method
from confirmation.states import Hooked, Reason, State
from confirmation.steadiness import Steadiness
from sandbox import simulate as program
from sandbox.simulation import (
    Plan,
    PromiseBroken,
    Simulation,
    endings,
    faults,
    passages,
    run,
    shortest,
    stories,
    tell,
)
from sandbox.simulation.fate import Chances
from sandbox.twins import Fault, Twins, TwinStock, TwinStore
from sandbox.twins import gateway as twin_gateway

RECEIPTS = 500
#: Enough that each guard's absence shows.
SEEDS = range(1, 21)
FEW = tuple(range(60))


def test_the_same_seed_is_the_same_story():
    first, second = Simulation(Plan(7, receipts=FEW), telling=True), Simulation(Plan(7, receipts=FEW), telling=True)

    assert first.run() == second.run()
    assert first.happened == second.happened
    assert [first.story(f"r{number}") for number in FEW] == [second.story(f"r{number}") for number in FEW]


def test_another_seed_and_another_world_are_other_stories():
    told = []
    for plan in (Plan(7, receipts=FEW), Plan(8, receipts=FEW), Plan(7, world=1, receipts=FEW)):
        simulation = Simulation(plan, telling=True)
        simulation.run()
        told.append(simulation.story("r0"))

    assert len(set(told)) == 3


def test_several_processes_come_to_the_same_end_as_one():
    plans = [Plan(7, world, FEW) for world in range(4)]

    assert list(endings(plans, processes=2)) == list(endings(plans))


def test_what_can_happen_happens():
    """
    A simulation in which nobody dies or waits proves nothing.
    """
    told, outcomes = "", set()
    for world in range(4):
        simulation = Simulation(Plan(3, world), telling=True)
        outcomes |= {outcome.split(",")[0] for outcome in simulation.run()}
        told += "\n".join(simulation.story(f"r{number}") for number in range(RECEIPTS))

    for line in (
        "killed", "paused", "dead letter", "tell-again", "stops:", "crashed", "webhook", "busy", "keep", "answer-lost",
        "the database's clock jumps by +", "the database's clock jumps by -", "between the check and the first byte",
        "cancelled elsewhere, all", "cancelled elsewhere, half", "-> drift", "on_reserve refuses", "on_commit refuses",
        "on_commit fails", "on_release fails", "void, restock True", "void True", "retry True", "resolve as confirmed",
        "resolve as rejected", "resolve as voided", "--force makes your word the end", "it follows the gateway",
        "ask again later", "its money is back already",
    ):  # fmt: skip
        assert line in told, line
    assert outcomes == {"confirmed", "rejected", "voided", "review"}


# Without a guard it must fail -----------------------------------------------------------------------------------------


def first_broken():
    for seed in SEEDS:
        try:
            Simulation(Plan(seed)).run()
        except PromiseBroken as broken:
            return Plan(seed), broken
    pytest.fail("the simulation saw nothing")


def broken_promise():
    return str(first_broken()[1])


def take_out(monkeypatch, seen, **cells):
    monkeypatch.setitem(TABLE, seen, TABLE[seen]._replace(**cells))


def test_it_sees_a_store_without_fence_and_state(monkeypatch):
    monkeypatch.setattr(TwinStore, "_matches", lambda *_: True)

    broken_promise()


def test_it_sees_a_store_that_goes_by_the_state_alone(monkeypatch):
    """
    Only the fence stops a worker that had decided to submit again, slept, and finds the state as it was:
    somebody else may have submitted meanwhile.
    """
    monkeypatch.setattr(TwinStore, "_matches", lambda _, row, before: row.confirmation.state is before.state)
    monkeypatch.setattr(run, "draw", submits_twice)
    monkeypatch.setattr(run, "ARRIVAL_SECONDS", (20.0,))
    monkeypatch.setattr(passages, "STORE", Chances.of(paused_before=0.05))

    assert "two submits are at work at once" in broken_promise()


def submits_twice(random, number, long_seconds):
    """A story whose first submit does nothing, and whose second one acts and shows late."""
    story = stories.draw(random, number, long_seconds)
    story.receipt.api, story.receipt.declined_as = "v1", None
    first = Fault(Silence("http 502", ended=True), acts=False)
    story.faults["submit"] = [first, Fault(Silence("timeout"), shows=2, shows_seconds=faults.HIDDEN_UNENDED_SECONDS)]
    return story


def test_it_sees_a_claim_that_doesnt_wait_for_the_lease(monkeypatch):
    monkeypatch.setattr(TwinStore, "_leased", lambda *_: False)

    assert "claimed while another's lease runs" in broken_promise()


def test_it_sees_a_second_submit_without_the_two_looks(monkeypatch):
    take_out(monkeypatch, Seen.READY, submitting=lambda _: Decision(Verb.SUBMIT))

    assert "two submits are at work at once" in broken_promise()


def test_it_sees_two_looks_too_close_together(monkeypatch):
    monkeypatch.setattr(waits, "SETTLE", waits.SETTLE * 0)

    assert "two submits are at work at once" in broken_promise()


def test_it_sees_the_databases_clock_believed_when_it_has_just_jumped(monkeypatch):
    """
    Set forward, it says that a submit must have ended that is still at work.
    """
    monkeypatch.setattr(Steadiness, "lasts", lambda *_: float("inf"))
    monkeypatch.setattr(run, "draw", submits_twice)
    monkeypatch.setattr(run, "ARRIVAL_SECONDS", (20.0,))
    monkeypatch.setattr(run, "MOST_JUMPS", 2000)

    assert "two submits are at work at once" in broken_promise()


def test_it_sees_looks_counted_while_a_submit_may_be_at_work(monkeypatch):
    monkeypatch.setattr(phases, "_will_submit", without_end_of_submit(phases._will_submit))

    broken_promise()


def without_end_of_submit(will_submit):
    return lambda confirmation, case, world: phases.replace(
        will_submit(confirmation, case, world), submitted_until=case.now
    )


def test_it_sees_an_error_taken_for_a_no(monkeypatch):
    take_out(monkeypatch, Seen.NO_WORD, submitting=lambda _: Decision(Verb.REJECT, Reason.DECLINED))

    assert "said no, and the gateway keeps the money (rejected, declined" in broken_promise()


def test_it_sees_a_commit_without_the_gateways_word(monkeypatch):
    take_out(monkeypatch, Seen.IN_FLIGHT, submitting=decisions.commit)

    assert "confirmed, and the gateway says otherwise" in broken_promise()


def test_it_sees_a_wrong_amount_confirmed(monkeypatch):
    monkeypatch.setitem(answers._OTHER_AMOUNT, Seen.PAID, Seen.PAID)

    assert "confirmed, and the gateway says otherwise" in broken_promise()


def test_it_sees_a_rejection_that_is_never_looked_at_again(monkeypatch):
    take_out(monkeypatch, Seen.PAID, rejected=decisions.end)

    assert "ended without a payment, and the gateway keeps the money" in broken_promise()


def test_it_sees_stock_given_away_while_the_outcome_is_open(monkeypatch):
    monkeypatch.setattr(TwinStock, "held", lambda *_: False)

    broken_promise()


def test_it_sees_a_reservation_of_more_than_there_is(monkeypatch):
    """
    The CHECK of the table is what stands between a wrong statement and the shelf.
    """
    monkeypatch.setattr(TwinStock, "refusal", only_unknown)

    assert "CheckViolated (stock below zero" in broken_promise()


def test_it_sees_an_oversold_item_without_the_check(monkeypatch):
    monkeypatch.setattr(TwinStock, "refusal", only_unknown)
    monkeypatch.setattr(TwinStock, "_check", lambda *_: None)

    assert "oversold" in broken_promise()


def only_unknown(stock, items):
    return None if items.keys() <= stock.counts.keys() else Refusal.UNKNOWN_SKU


def test_it_sees_an_order_taken_by_a_second_receipt(monkeypatch):
    """
    The unique index is what stands between two receipts that both saw the order free.
    """
    monkeypatch.setattr(TwinStore, "_order_refusal", lambda *_: None)

    assert "is owned by" in broken_promise()


def test_it_sees_an_order_with_two_owners(monkeypatch):
    monkeypatch.setattr(TwinStore, "_order_refusal", lambda *_: None)
    monkeypatch.setattr(TwinStore, "own", lambda *_: None)

    assert "an order is paid twice" in broken_promise()


def test_it_sees_an_event_told_twice(monkeypatch):
    announce = TwinStore._announce

    def twice(store, saved, commit):
        announce(store, saved, commit)
        announce(store, saved, commit)

    monkeypatch.setattr(TwinStore, "_announce", twice)

    assert "not every event is told once" in broken_promise()


def test_it_sees_a_look_that_was_asked_for_and_lost(monkeypatch):
    look_now = TwinStore.look_now

    def forgetful(store, receipt_id):
        look_now(store, receipt_id)
        store.rows[receipt_id].asked = False

    monkeypatch.setattr(TwinStore, "look_now", forgetful)
    monkeypatch.setattr(stories, "BEGINNINGS", {"approved during a look": 1})

    assert "the gateway keeps the money" in broken_promise()


def test_it_sees_two_events_with_one_id(monkeypatch):
    monkeypatch.setattr(Twins, "event_id", lambda _: UUID(int=1))

    assert "events are out of order" in broken_promise()


def test_it_sees_a_result_told_again_otherwise(monkeypatch):
    """
    A late look changes the row, and must not change what was told.
    """
    monkeypatch.setattr(TwinStore, "tell_again", tells_the_row)

    assert "two documents have one sequence" in broken_promise()


def tells_the_row(store, confirmation):
    told = store.outbox[confirmation.receipt_id][-1]
    store.told_again.append(replace(told, document=result_document(store.rows[confirmation.receipt_id].confirmation)))


def test_it_sees_anothers_money_sent_back(monkeypatch):
    take_out(monkeypatch, Seen.OTHER_ORDER, received=decisions.void, voiding=decisions.cancel)

    assert "another's money was touched" in broken_promise()


def test_it_sees_more_sent_back_than_was_taken(monkeypatch):
    monkeypatch.setattr(twin_gateway, "_refund", all_of_it)
    monkeypatch.setattr(stories, "BEGINNINGS", {"partly cancelled": 1})

    assert "more went back than was taken" in broken_promise()


def all_of_it(receipt):
    receipt.cancelled += receipt.amount.minor
    return answers.Cancelled()


def test_it_sees_a_receipt_that_is_never_left_in_peace(monkeypatch):
    take_out(monkeypatch, Seen.READY, rejected=lambda _: Decision(Verb.WAIT, wait=waits.LATE_LOOKS[-1]))

    with pytest.raises(PromiseBroken, match="still not settled"):
        Simulation(Plan(1, receipts=FEW)).run()


# People, the shop, and what others do ---------------------------------------------------------------------------------


def test_it_sees_a_persons_word_go_before_the_gateways(monkeypatch):
    monkeypatch.setattr(operators, "ON_ITS_WAY", frozenset())

    assert "a person's word went before the gateway's" in broken_promise()


def test_it_sees_a_word_taken_without_force(monkeypatch):
    word_refused = operators.word_refused
    monkeypatch.setattr(operators, "word_refused", lambda seen, **_: word_refused(seen, force=True))

    assert "ended by a person who didn't say so" in broken_promise()


@pytest.mark.parametrize("whatever_was_wanted", [True, False])
def test_it_sees_what_was_sold_come_back_unasked_or_not_come_back(monkeypatch, whatever_was_wanted):
    give_back = TwinStock.give_back

    def always(stock, receipt_id, *, sold):
        del sold
        give_back(stock, receipt_id, sold=whatever_was_wanted)

    monkeypatch.setattr(TwinStock, "give_back", always)

    assert "the stock isn't where the state says" in broken_promise()


def test_it_sees_drift_told_again_and_again(monkeypatch):
    take_out(monkeypatch, Seen.CANCELLED, confirmed=lambda _: Decision(Verb.DRIFT))

    assert "drift is told more than once" in broken_promise()


def test_it_sees_drift_told_to_nobody(monkeypatch):
    take_out(monkeypatch, Seen.CANCELLED, confirmed=decisions.stay)

    assert "cancelled elsewhere, and nobody was told" in broken_promise()


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (None, State.SUBMITTING),
        (Hooked.RESERVED, State.CONFIRMED),
        (Hooked.RESERVED, State.VOIDING),
        (Hooked.RESERVED, State.REJECTED),
        (Hooked.COMMITTED, State.VOIDED),
    ],
)
def test_it_sees_a_method_of_the_shop_that_isnt_called(monkeypatch, known, state):
    monkeypatch.delitem(CALLED[known], state)

    assert "the shop's tables say otherwise" in broken_promise()


def test_it_sees_a_method_of_the_shop_called_twice(monkeypatch):
    monkeypatch.setitem(CALLED[Hooked.COMMITTED], State.VOIDING, Method.ON_VOID)
    monkeypatch.setitem(CALLED[None], State.VOIDED, Method.ON_VOID)

    assert "the shop's tables say otherwise" in broken_promise()


# The shortest story ---------------------------------------------------------------------------------------------------


def test_the_shortest_story_breaks_the_same_promise_and_is_found_again(monkeypatch):
    take_out(monkeypatch, Seen.READY, submitting=lambda _: Decision(Verb.SUBMIT))
    plan, broken = first_broken()

    short = shortest(plan, broken)
    found = tell(short)

    assert len(short.receipts) == 1
    assert len(short.incidents) <= 1
    assert found.broken.kind == broken.kind
    assert shortest(plan, broken) == short


def test_it_finds_the_two_receipts_that_it_takes(monkeypatch):
    monkeypatch.setattr(TwinStore, "_order_refusal", lambda *_: None)
    monkeypatch.setattr(TwinStore, "own", lambda *_: None)
    plan, broken = first_broken()

    short = shortest(plan, broken)

    assert len(short.receipts) == 2
    assert tell(short).broken.kind == "an order is paid twice"


def test_each_thing_that_goes_wrong_can_be_asked_for_by_name():
    simulation = Simulation(Plan(7, receipts=FEW))
    simulation.run()

    again = Simulation(Plan(7, receipts=FEW, incidents=frozenset(simulation.happened)))
    again.run()

    assert again.happened == simulation.happened


def test_nothing_goes_wrong_where_nothing_may():
    simulation = Simulation(Plan(7, receipts=FEW, incidents=frozenset()), telling=True)
    simulation.run()

    assert simulation.happened == []
    assert "killed" not in "".join(map(simulation.story, simulation.orders))


# The program ----------------------------------------------------------------------------------------------------------


def test_the_program_counts_the_outcomes(capsys):
    assert program.main(["--seed", "5", "--receipts", "200"]) == 0

    printed = capsys.readouterr().out
    assert "confirmed" in printed
    assert "200  receipts, every promise kept" in printed
    assert "(seed 5)" in printed


def test_the_program_tells_the_seed_and_a_command_that_tells_the_same_story(capsys, monkeypatch):
    take_out(monkeypatch, Seen.IN_FLIGHT, submitting=decisions.commit, received=decisions.reserve_and_commit)

    assert program.main(["--seed", "5", "--receipts", "500"]) == 1
    seed, told = capsys.readouterr().out.split("Again:\n")
    command = shlex.split(told.splitlines()[0])
    assert program.main(command[command.index("simulate") + 1 :]) == 1

    assert "seed 5, world 0: a promise is broken" in seed
    assert "look-up GatewayReceipt" in told
    assert capsys.readouterr().out == f"Again:\n{told}"


def test_a_command_whose_fault_is_mended_says_so(capsys):
    assert program.main(["--seed", "5", "--world", "0", "--only", "1,2", "--incidents", ""]) == 0

    assert "every promise is kept" in capsys.readouterr().out
