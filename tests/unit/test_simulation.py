"""The simulation keeps every promise, and sees it when a guard is taken out."""

import pytest

from confirmation import answers, decisions, phases, waits
from confirmation.answers import Seen, Silence
from confirmation.decisions import TABLE, Decision, Verb
from confirmation.states import Reason
from sandbox import simulate as program
from sandbox.simulation import PromiseBroken, Simulation, faults, passages, run, simulate, stories
from sandbox.twins import Fault, TwinStock, TwinStore

RECEIPTS = 500
#: Enough that each guard's absence shows.
SEEDS = range(1, 21)


@pytest.mark.parametrize("seed", range(100, 110))
def test_every_promise_is_kept(seed):
    outcomes = simulate(seed, RECEIPTS)

    assert outcomes.total() == RECEIPTS
    assert outcomes["confirmed"] > RECEIPTS / 3


def test_the_same_seed_is_the_same_story():
    first, second = Simulation("7", 60), Simulation("7", 60)

    assert first.run() == second.run()
    assert [first.story(f"r{number}") for number in range(60)] == [second.story(f"r{number}") for number in range(60)]


def test_another_seed_is_another_story():
    first, second = Simulation("7", 60), Simulation("8", 60)
    first.run()
    second.run()

    assert first.story("r0") != second.story("r0")


def test_what_can_happen_happens():
    """
    A simulation in which nobody dies or waits proves nothing.
    """
    simulation = Simulation("3", RECEIPTS)
    outcomes = simulation.run()
    told = "\n".join(simulation.story(f"r{number}") for number in range(RECEIPTS))

    for line in ("killed", "paused", "dead letter", "tell again", "stops:", "crashed", "webhook", "busy", "keep"):
        assert line in told
    assert {outcome.split(",")[0] for outcome in outcomes} == {"confirmed", "rejected", "voided", "review"}


# Without a guard it must fail -----------------------------------------------------------------------------------------


def broken_promise():
    for seed in SEEDS:
        try:
            simulate(seed, RECEIPTS)
        except PromiseBroken as broken:
            return str(broken)
    pytest.fail("the simulation saw nothing")


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
    monkeypatch.setattr(passages, "PAUSED", 0.05)

    assert "charged 2 times" in broken_promise()


def submits_twice(random, number):
    """A story whose first submit does nothing, and whose second one acts and shows late."""
    story = stories.draw(random, number)
    story.receipt.api, story.receipt.declined_as = "v1", None
    first = Fault(Silence("http 502", ended=True), acts=False)
    story.faults["submit"] = [first, Fault(Silence("timeout"), shows=2, shows_seconds=faults.HIDDEN_UNENDED_SECONDS)]
    return story


def test_it_sees_a_second_submit_without_the_two_looks(monkeypatch):
    take_out(monkeypatch, Seen.READY, submitting=lambda _: Decision(Verb.SUBMIT))

    assert "charged 2 times" in broken_promise()


def test_it_sees_two_looks_too_close_together(monkeypatch):
    monkeypatch.setattr(waits, "SETTLE", waits.SETTLE * 0)

    assert "charged 2 times" in broken_promise()


def test_it_sees_looks_counted_while_a_submit_may_be_at_work(monkeypatch):
    monkeypatch.setattr(phases, "_will_submit", without_end_of_submit(phases._will_submit))

    broken_promise()


def without_end_of_submit(will_submit):
    return lambda confirmation, case, world: phases.replace(
        will_submit(confirmation, case, world), submitted_until=case.now
    )


def test_it_sees_an_error_taken_for_a_no(monkeypatch):
    take_out(monkeypatch, Seen.NO_WORD, submitting=lambda _: Decision(Verb.REJECT, Reason.DECLINED))

    assert "said no (declined), and the gateway keeps" in broken_promise()


def test_it_sees_a_commit_without_the_gateways_word(monkeypatch):
    take_out(monkeypatch, Seen.IN_FLIGHT, submitting=decisions.commit)

    assert "confirmed, and the gateway says" in broken_promise()


def test_it_sees_a_wrong_amount_confirmed(monkeypatch):
    monkeypatch.setitem(answers._OTHER_AMOUNT, Seen.PAID, Seen.PAID)

    assert "confirmed, and the gateway says" in broken_promise()


def test_it_sees_a_rejection_that_is_never_looked_at_again(monkeypatch):
    take_out(monkeypatch, Seen.PAID, rejected=decisions.end)

    assert "rejected, and the gateway keeps" in broken_promise()


def test_it_sees_stock_given_away_while_the_outcome_is_open(monkeypatch):
    monkeypatch.setattr(TwinStock, "held", lambda *_: False)

    broken_promise()


def test_it_sees_an_order_with_two_owners(monkeypatch):
    monkeypatch.setattr(TwinStore, "_order_refusal", lambda *_: None)
    monkeypatch.setattr(TwinStore, "_own", lambda *_: None)

    assert "is paid twice" in broken_promise()


def test_it_sees_an_event_told_twice(monkeypatch):
    announce = TwinStore._announce

    def twice(store, saved, commit):
        announce(store, saved, commit)
        announce(store, saved, commit)

    monkeypatch.setattr(TwinStore, "_announce", twice)

    assert "after 2 events" in broken_promise()


def test_it_sees_a_look_that_was_asked_for_and_lost(monkeypatch):
    look_now = TwinStore.look_now

    def forgetful(store, receipt_id):
        look_now(store, receipt_id)
        store.rows[receipt_id].asked = False

    monkeypatch.setattr(TwinStore, "look_now", forgetful)
    monkeypatch.setattr(stories, "BEGINNINGS", {"approved during a look": 1})

    assert "rejected, and the gateway keeps" in broken_promise()


# The program ----------------------------------------------------------------------------------------------------------


def test_the_program_counts_the_outcomes(capsys):
    assert program.main(["--seed", "5", "--receipts", "200"]) == 0

    printed = capsys.readouterr().out
    assert "confirmed" in printed
    assert "200  receipts, every promise kept" in printed
    assert "(seed 5)" in printed


def test_the_program_tells_the_seed_and_the_story_of_a_broken_promise(capsys, monkeypatch):
    take_out(monkeypatch, Seen.IN_FLIGHT, submitting=decisions.commit, received=decisions.reserve_and_commit)

    assert program.main(["--seed", "5", "--receipts", "500"]) == 1
    first = capsys.readouterr().out
    program.main(["--seed", "5", "--receipts", "500"])

    assert "--seed 5 --receipts 500" in first
    assert "look up GatewayReceipt" in first
    assert capsys.readouterr().out == first
