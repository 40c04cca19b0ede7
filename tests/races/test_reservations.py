"""Many at once on the rows that everybody wants."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from confirmation.decisions import Refusal
from confirmation.states import Reason
from tests import ledgers
from worker.store.ledger import Ledger
from worker.store.stock import Stock

BUYERS = 24


def at_once(count, run):
    """Run it so often at the same moment and give every answer."""
    barrier = Barrier(count)

    def meet(number):
        barrier.wait(timeout=30)
        return run(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(meet, range(count)))


def test_ten_units_are_sold_to_ten_of_many_buyers(engine):
    ledger, stock = Ledger(engine), Stock(engine)
    stock.set("scarce", 10, "test")
    claims = [ledgers.claimed(ledger, ledgers.order(f"r{n}", items={"scarce": 1})) for n in range(BUYERS)]

    answers = at_once(BUYERS, lambda number: ledgers.reserve(ledger, claims[number]))

    assert sum(answer is Refusal.OUT_OF_STOCK for answer in answers) == BUYERS - 10
    assert (stock.show("scarce")[0].available, stock.show("scarce")[0].held) == (0, 10)


def test_several_skus_in_any_order_never_deadlock_and_are_taken_whole_or_not_at_all(engine):
    ledger, stock = Ledger(engine), Stock(engine)
    for sku in "abc":
        stock.set(sku, 20, "test")
    wanted = [{"a": 1, "b": 1}, {"b": 1, "c": 1}, {"c": 1, "a": 1}, {"c": 2, "b": 1, "a": 1}]
    claims = [ledgers.claimed(ledger, ledgers.order(f"r{n}", items=wanted[n % 4])) for n in range(BUYERS)]

    answers = at_once(BUYERS, lambda number: ledgers.reserve(ledger, claims[number]))

    for sku in "abc":
        taken = sum(wanted[n % 4].get(sku, 0) for n, answer in enumerate(answers) if not isinstance(answer, Refusal))
        shelf = stock.show(sku)[0]
        assert (shelf.available, shelf.held) == (20 - taken, taken)


def test_of_two_receipts_for_one_order_one_reserves(engine):
    """
    Both look before either has written: only the unique index can tell them apart.
    """
    ledger = Ledger(engine)
    for turn in range(20):
        claims = [ledgers.claimed(ledger, ledgers.order(f"r{turn}-{n}", f"order-{turn}")) for n in range(2)]

        answers = at_once(2, lambda number, claims=claims: ledgers.reserve(ledger, claims[number]))

        assert [isinstance(answer, Refusal) for answer in answers].count(True) == 1
        assert Refusal.ORDER_UNDECIDED in answers


def test_of_many_copies_of_a_job_one_claims(engine):
    ledger = Ledger(engine)
    wanted = ledgers.order("r1")

    holds = at_once(8, lambda _: ledger.claim(ledgers.Job("r1", wanted), ledgers.LEASE_SECONDS).hold)

    assert sum(hold is not None for hold in holds) == 1


def test_copies_of_a_document_that_takes_a_receipt_over_are_one_job(engine):
    """
    All of them read the old row; the first to write replaces it, and the others must see themselves in it.
    """
    ledger = Ledger(engine)
    for turn in range(10):
        wrong = ledgers.claimed(ledger, ledgers.order(f"t{turn}", "wrong"))
        ledgers.rejected(ledger, wrong, Reason.ORDER_MISMATCH)
        right = ledgers.order(f"t{turn}", f"right-{turn}")

        kept = at_once(8, lambda _, right=right: ledger.keep(right, 60))

        assert {confirmation.order.order_id for confirmation in kept} == {f"right-{turn}"}
