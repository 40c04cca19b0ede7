"""Ten thousand wait: a dead worker's receipts don't wait behind them, and a gateway that comes back isn't run over."""

import time

import pytest

from tests.workers import QUEUE, item, stage, until, wait_until_ready

BACKLOG = 10_000
THREADS = 32
#: What is promised for the receipts of a worker that was killed.
BACK_SECONDS = 20
#: When the gateway is back, and in all.
MESSAGES_PER_RECEIPT = 1.5
#: A hundred of them are final so soon after the gateway is back.
SOON_SECONDS = 10
PATIENCE_SECONDS = 240
AWAY = [{"call": call, "fault": "http_502_html", "times": 0} for call in ("receipt", "approve")]


@pytest.fixture
def house(servers, template_database, tmp_path):
    with stage(servers, template_database, tmp_path, WORKER_CONCURRENCY=str(THREADS)) as built:
        yield built


@pytest.mark.timeout(PATIENCE_SECONDS * 2)
def test_ten_thousand_wait_while_a_worker_dies_and_the_gateway_goes_away_and_comes_back(house):
    house.start_gateway(approve_seconds=0.02)
    house.start("relay", house.lines["relay"])
    documents = house.open_receipts(BACKLOG)

    held = die_holding(house, documents)
    park_all(house)
    come_back(house)

    assert len(held) >= THREADS
    until(lambda: not house.left_over())
    charges = house.charges()
    assert len(charges) == BACKLOG
    assert set(charges.values()) == {1}
    audit = house.start("audit", ["python", "-m", "worker", "audit"])
    assert audit.wait(PATIENCE_SECONDS) == 0, audit.said


def die_holding(house, documents):
    """Kill a worker whose threads all hang at the gateway; see its receipts claimed again while the rest still wait."""
    house.control("POST", "/sandbox/faults", {"call": "receipt", "fault": "hang", "times": 0})
    worker = house.ready_worker()
    house.push(*map(item, documents))
    until(lambda: len(house.states()) >= THREADS)
    heir = house.start_worker()

    worker.kill()
    killed_at = time.monotonic()
    held = claimed(house)
    house.control("DELETE", "/sandbox/faults")
    wait_until_ready(heir)

    until(lambda: all(claims > 1 for claims in claimed(house, *held).values()))
    assert time.monotonic() - killed_at < BACK_SECONDS
    assert house.redis.llen(QUEUE) > BACKLOG / 4, "nothing waited any more: this says nothing about a backlog"
    return held


def park_all(house):
    """The gateway goes away until all that waited is parked; it is hardly asked meanwhile."""
    for fault in AWAY:
        house.control("POST", "/sandbox/faults", fault)
    waiting, asked = house.redis.llen(QUEUE), asked_for(house)
    until(lambda: not house.redis.llen(QUEUE), PATIENCE_SECONDS)
    assert asked_for(house) - asked < waiting / 4


def come_back(house):
    """All come due at once, and the gateway is back."""
    open_receipts = house.ask("""
        UPDATE payconfirm.confirmations SET due_at = clock_timestamp()
        WHERE state <> 'confirmed' AND leased_until IS NULL RETURNING receipt_id""")
    house.redis.config_resetstat()
    house.control("DELETE", "/sandbox/faults")
    back_at = time.monotonic()

    until(lambda: confirmed(house) >= BACKLOG - len(open_receipts) + 100)
    assert time.monotonic() - back_at < SOON_SECONDS
    until(lambda: confirmed(house) == BACKLOG, PATIENCE_SECONDS)
    messages = house.redis.info("commandstats")["cmdstat_lpush"]["calls"]
    assert messages < MESSAGES_PER_RECEIPT * len(open_receipts)


def claimed(house, *receipt_ids):
    """How often each of these, or of all, was claimed."""
    rows = house.ask(
        "SELECT receipt_id, attempts FROM payconfirm.confirmations WHERE :all OR receipt_id = ANY(:ids)",
        all=not receipt_ids,
        ids=list(receipt_ids),
    )
    return {row.receipt_id: row.attempts for row in rows}


def asked_for(house):
    """How many look-ups the gateway has been asked for."""
    accounts = house.control("GET", "/sandbox/ledger")["receipts"].values()
    return sum(account["calls"]["receipt"] for account in accounts)


def confirmed(house):
    (row,) = house.ask("SELECT count(*) AS receipts FROM payconfirm.confirmations WHERE state = 'confirmed'")
    return row.receipts
