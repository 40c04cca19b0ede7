"""What `make demo KILL=1` and `make demo CHAOS=1` are going to do: decided before they begin, by a seed."""

import os
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from sandbox.demo.cast import Kind, invite
from sandbox.demo.command import SEED, _read, _story
from sandbox.demo.once import Story
from sandbox.demo.plan import ONCE, OURS_ONLY, PEACE_SECONDS, Deed, Harm, gateway_faults, plan
from sandbox.gateway.bodies import NewFault

ROOT = Path(__file__).parents[2]
SECONDS = 10.0


@pytest.fixture
def buyers():
    return invite(3, 400)


def planned(harm, *, ours=True, seed=3):
    return plan(seed, harm, SECONDS, servers_are_ours=ours)


@pytest.mark.parametrize("harm", [Harm.KILL, Harm.CHAOS])
def test_the_same_seed_plans_the_same_and_another_one_something_else(harm):
    assert planned(harm) == planned(harm)
    assert planned(harm) != planned(harm, seed=4)


@pytest.mark.parametrize("harm", [Harm.KILL, Harm.CHAOS])
def test_a_worker_is_killed_every_second_or_so_from_the_beginning_to_the_end(harm):
    moments = [each.at_seconds for each in planned(harm) if each.deed is Deed.KILL_WORKER]

    waits = [later - earlier for earlier, later in pairwise([0.0, *moments, SECONDS])]
    assert all(PEACE_SECONDS[0] <= wait <= PEACE_SECONDS[1] for wait in waits[:-1])
    assert 0 < waits[-1] <= PEACE_SECONDS[1]


def test_chaos_does_everything_else_once_in_the_midst_of_the_rush():
    done = Counter(each.deed for each in planned(Harm.CHAOS))

    assert done.keys() == set(Deed)
    assert {deed for deed in done if done[deed] == 1} == ONCE.keys()
    assert all(0 < each.at_seconds < SECONDS for each in planned(Harm.CHAOS))


def test_without_chaos_nothing_but_workers_is_killed():
    assert planned(Harm.NONE) == []
    assert {each.deed for each in planned(Harm.KILL)} == {Deed.KILL_WORKER}


def test_somebodys_servers_are_spared_and_everything_else_happens_all_the_same():
    ours, given = planned(Harm.CHAOS), planned(Harm.CHAOS, ours=False)

    assert given == [each for each in ours if each.deed not in OURS_ONLY] != ours


@pytest.mark.parametrize("receipts", [20, 400])
def test_however_few_come_there_is_time_for_a_few_kills(receipts):
    assert len(plan(3, Harm.KILL, Harm.KILL.rush_seconds(receipts), servers_are_ours=True)) >= 2


def test_a_share_of_the_calls_goes_wrong_in_every_way(buyers):
    faults = gateway_faults(3, buyers)

    assert faults == gateway_faults(3, buyers) != gateway_faults(4, buyers)
    assert 0.2 < len(faults) / len(buyers) < 0.3
    assert {fault["fault"] for fault in faults} == {"lost_answer", "hang", "http_500", "http_429"}
    assert {fault["call"] for fault in faults} == {"receipt", "approve", "cancel"}


def test_the_gateway_takes_every_fault_as_it_is_planned(buyers):
    for fault in gateway_faults(3, buyers):
        script = NewFault.model_validate(fault).script()
        assert {name: script.told()[name] for name in fault} == fault


def test_no_fault_turns_a_buyers_story_into_another(buyers):
    """An approval that acts, whatever it answers, would charge a buyer whose bank is to say no."""
    kinds = {buyer.receipt_id: buyer.kind for buyer in buyers}

    approvals = {kinds[fault["receipt_id"]] for fault in gateway_faults(3, buyers) if fault["call"] == "approve"}
    assert Kind.PLAIN in approvals <= {Kind.PLAIN, Kind.SCARCE, Kind.TWO_RECEIPTS}


def test_every_cancel_of_the_chaos_goes_wrong_first(buyers):
    voided = {buyer.receipt_id for buyer in buyers if buyer.kind is Kind.PAID_FOR_NOTHING}

    assert {fault["receipt_id"] for fault in gateway_faults(3, buyers) if fault["call"] == "cancel"} == voided != set()


def test_the_chaos_delivers_more_copies_over_a_longer_time():
    plain, chaos = Story(3, 400).buyers(), Story(3, 400, Harm.CHAOS).buyers()

    assert copies(chaos) > 2 * copies(plain)
    assert chaos[-1].arrives_seconds > 1.5 * plain[-1].arrives_seconds
    assert Story(3, 400).faults(plain) == []


def copies(buyers):
    return sum(len(buyer.copies_after_seconds) for buyer in buyers)


@pytest.mark.parametrize(
    ("words", "harm"),
    [
        ([], Harm.NONE),
        (["--kill"], Harm.KILL),
        (["--chaos"], Harm.CHAOS),
        (["--kill", "--chaos"], Harm.CHAOS),
    ],
)
def test_the_flags_say_how_much_is_done_and_chaos_includes_the_kills(words, harm):
    assert _story(_read(words)).harm is harm
    assert _story(_read([*words, "--seed", "7"])).seed == 7


def test_only_where_something_is_killed_each_run_is_another_one():
    assert {_story(_read([])).seed for _ in range(20)} == {SEED}
    assert len({_story(_read(["--chaos"])).seed for _ in range(20)}) > 1


def test_a_house_that_stays_up_is_not_harmed(capsys):
    with pytest.raises(SystemExit):
        _read(["--stay", "--chaos"])
    assert "--stay" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ("", ""),
        ("KILL= CHAOS=", ""),
        ("KILL=0 CHAOS=0", ""),
        ("KILL=1", "--kill"),
        ("CHAOS=1", "--chaos"),
        ("KILL=1 CHAOS=1 SEED=7 RECEIPTS=60", "--kill --chaos --seed 7 --receipts 60"),
    ],
)
def test_make_passes_its_variables_on_and_takes_empty_and_0_for_no(variables, words):
    asked = ["make", "--no-print-directory", "-n", "demo", *variables.split()]
    environment = {"PATH": os.environ["PATH"]}  # whatever the make that runs these tests was told
    said = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    assert said.split("sandbox demo")[1].split() == words.split()
