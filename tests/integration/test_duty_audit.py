"""The audit finds what was damaged, each check what it is there for, and nothing else."""

from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from confirmation.errors import StoreUnavailable
from tests.integration.duty_house import open_house
from worker.duty.audit import Circumstances, audit
from worker.duty.checks import CHECKS
from worker.duty.report import MOST_LISTED
from worker.store.auditing import snapshot

SET = "UPDATE payconfirm.confirmations SET"


def event(receipt_id, sequence, kind):
    """The statement that writes an event which nobody should have written."""
    return (
        "INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due) SELECT"
        f" gen_random_uuid(), '{receipt_id}', {sequence}, 'payconfirm.{kind}', jsonb_build_object('state', '{kind}',"
        " 'order_id', order_id, 'currency', currency, 'amount', amount), now(), false"
        f" FROM (SELECT 1) one LEFT JOIN payconfirm.confirmations ON receipt_id = '{receipt_id}';"
    )


#: What is done to the tables, and exactly what the audit must find then.
#: A callback of each event of
SHOP = "'https://shop.example/'"
CALL = (
    "INSERT INTO payconfirm.callbacks (id, receipt_id, sequence, url, due_at)"
    f" SELECT id, receipt_id, sequence, {SHOP}, now() FROM payconfirm.outbox"
)
#: Older than
PAUSE = "UPDATE payconfirm.callbacks SET state = 'paused', created_at = now() - interval"
DAMAGES = [
    (f"{SET} amount = amount + 1 WHERE receipt_id = 'confirmed'", {("told", "confirmed")}),
    (f"{SET} order_id = 'another' WHERE receipt_id = 'confirmed'", {("told", "confirmed")}),
    (
        (
            "UPDATE payconfirm.outbox SET document = jsonb_set(document, '{state}', '\"rejected\"')"
            " WHERE receipt_id = 'confirmed'"
        ),
        {("told", "confirmed")},
    ),
    (f"{SET} due_at = '2099-01-01' WHERE receipt_id = 'submitting'", {("forgotten", "submitting")}),
    ("UPDATE payconfirm.stock SET available = available + 1 WHERE sku = 'tee'", {("stock", "tee")}),
    ("INSERT INTO payconfirm.stock_changes (sku, change, why) VALUES ('cap', 1, 'x')", {("stock", "cap")}),
    (
        (
            "INSERT INTO payconfirm.reservations VALUES ('confirmed', 'ghost', 1, 'sold');"
            f"""{SET} items = items || '{{"ghost": 1}}' WHERE receipt_id = 'confirmed'"""
        ),
        {("stock", "ghost")},
    ),
    (
        (
            "ALTER TABLE payconfirm.stock DROP CONSTRAINT stock_available_check;"
            "UPDATE payconfirm.stock SET available = -1 WHERE sku = 'cap';"
            "INSERT INTO payconfirm.stock_changes (sku, change, why) VALUES ('cap', -1, 'x')"
        ),
        {("stock", "cap")},
    ),
    (f"""{SET} items = items || '{{"mug": 1}}' WHERE receipt_id = 'confirmed'""", {("sold", "confirmed")}),
    (f"""{SET} items = '{{"cap": 1, "tee": 1}}' WHERE receipt_id = 'confirmed'""", {("sold", "confirmed")}),
    (
        "UPDATE payconfirm.reservations SET state = 'sold' WHERE receipt_id = 'declined'",
        {("stock", "tee"), ("sold_unconfirmed", "declined")},
    ),
    (f"""{SET} items = items || '{{"mug": 1}}' WHERE receipt_id = 'submitting'""", {("held", "submitting")}),
    (f"""{SET} items = '{{"tee": 2}}' WHERE receipt_id = 'review_held'""", {("held", "review_held")}),
    (
        "UPDATE payconfirm.reservations SET state = 'held' WHERE receipt_id = 'declined'",
        {("stock", "tee"), ("held_for_nobody", "declined")},
    ),
    (
        (
            "INSERT INTO payconfirm.reservations VALUES ('ghost', 'tee', 1, 'held');"
            "UPDATE payconfirm.stock SET available = available - 1 WHERE sku = 'tee'"
        ),
        {("held_for_nobody", "ghost")},
    ),
    (
        "UPDATE payconfirm.reservations SET state = 'held' WHERE receipt_id = 'confirmed' AND sku = 'tee'",
        {("sold", "confirmed"), ("held_for_nobody", "confirmed")},
    ),
    (
        f"{SET} state = 'voiding', owns_order = false WHERE receipt_id = 'submitting'",
        {("held_for_nobody", "submitting")},
    ),
    (f"{SET} owns_order = false WHERE receipt_id = 'confirmed'", {("owner", "confirmed")}),
    (f"{SET} owns_order = false WHERE receipt_id = 'review_held'", {("owner", "review_held")}),
    (f"{SET} owns_order = true WHERE receipt_id = 'review'", {("owner", "review")}),
    (f"{SET} owns_order = true WHERE receipt_id = 'voided'", {("owner", "voided")}),
    (
        (
            "DROP INDEX payconfirm.one_payment_per_order;"
            f"{SET} order_id = 'order-confirmed' WHERE receipt_id = 'submitting'"
        ),
        {("one_owner", "confirmed")},
    ),
    (f"{SET} sequence = 2 WHERE receipt_id = 'confirmed'", {("sequence", "confirmed")}),
    (f"{SET} sequence = 1 WHERE receipt_id = 'submitting'", {("sequence", "submitting")}),
    ("UPDATE payconfirm.outbox SET sequence = 2 WHERE receipt_id = 'voided'", {("sequence", "voided")}),
    (
        event("ghost", 1, "review"),
        {("sequence", "ghost")},
    ),
    (
        "ALTER TABLE payconfirm.outbox DROP CONSTRAINT outbox_receipt_id_sequence_key;"
        + event("voided", 1, "voided")
        + event("voided", 3, "voided")
        + f"{SET} sequence = 3 WHERE receipt_id = 'voided'",
        {("sequence", "voided")},
    ),
    (
        "DELETE FROM payconfirm.outbox WHERE receipt_id = 'voided'",
        {("sequence", "voided"), ("told", "voided")},
    ),
    (
        "UPDATE payconfirm.outbox SET type = 'payconfirm.confirmed' WHERE receipt_id IN ('rejected', 'review')",
        {("told", "rejected"), ("told", "review")},
    ),
    (f"{SET} due_at = NULL WHERE receipt_id = 'received'", {("forgotten", "received")}),
    (f"{SET} due_at = NULL WHERE receipt_id = 'submitting'", {("forgotten", "submitting")}),
    (f"{SET} due_at = NULL WHERE receipt_id = 'review'", {("forgotten", "review")}),
    (f"{SET} due_at = now() + interval '1 hour' WHERE receipt_id = 'voided'", {("never_ends", "voided")}),
    (f"{SET} leased_until = now() WHERE receipt_id = 'voided'", {("never_ends", "voided")}),
    (f"{SET} due_at = now() - interval '901 seconds' WHERE receipt_id = 'received'", {("overdue", "received")}),
    (f"{SET} due_at = now() - interval '61 seconds' WHERE receipt_id = 'rejected'", {("overdue", "rejected")}),
    # Sent again and again, so never due for long: by a relay that runs, to workers that don't move it.
    (f"{SET} created_at = now() - interval '661 seconds' WHERE receipt_id = 'received'", {("undecided", "received")}),
    (
        f"{SET} created_at = now() - interval '661 seconds' WHERE receipt_id = 'submitting'",
        {("undecided", "submitting")},
    ),
    (
        f"{CALL} WHERE receipt_id = 'confirmed'; {SET} callback_url = 'https://s.example/' WHERE receipt_id = 'review'",
        {("called_back", "review")},
    ),
    (
        f"{CALL} WHERE receipt_id = 'voided'; UPDATE payconfirm.callbacks SET due_at = now() - interval '901 seconds'",
        {("call_overdue", "voided")},
    ),
    (
        f"{CALL} WHERE receipt_id = 'voided'; UPDATE payconfirm.callbacks SET due_at = now() + interval '28 hours'",
        {("call_forgotten", "voided")},
    ),
    (
        f"{CALL} WHERE receipt_id = 'voided'; {PAUSE} '16 minutes'",
        {("call_forgotten", "voided")},
    ),
]

TIME_OUTS = ("statement_timeout", "idle_in_transaction_session_timeout")

#: What looks odd and is right.
HARMLESS = [
    # What was told before there were callbacks has none.
    f"{SET} callback_url = 'https://shop.example/'",
    f"{CALL}; {PAUSE} '1 day'; INSERT INTO payconfirm.endpoints (endpoint, paused_at) VALUES ({SHOP}, now())",
    f"{SET} created_at = now() - interval '650 seconds'",
    f"{SET} created_at = now() - interval '1 day' WHERE state NOT IN ('received', 'submitting')",
    # A cancel of the gateway's own, however long it takes.
    f"{SET} created_at = now() - interval '1 day', seen = 'a cancel under way' WHERE receipt_id = 'submitting'",
    # It waits its turn in a long queue.
    f"{SET} due_at = now() - interval '300 seconds' WHERE receipt_id = 'received'",
    f"{SET} due_at = now() - interval '30 seconds' WHERE receipt_id = 'rejected'",
    event("confirmed", 2, "drift") + f"{SET} sequence = 2 WHERE receipt_id = 'confirmed'",
    # Confirmed, and then voided by a person who kept the goods out: they stay sold.
    event("confirmed", 2, "voided") + f"{SET} sequence = 2, state = 'voided', owns_order = false"
    " WHERE receipt_id = 'confirmed'",
]


@pytest.fixture
def house(database_url):
    with open_house(database_url) as house:
        yield house


@pytest.fixture
def shop(house):
    house.fill()
    return house


def look_through(house, **given):
    return audit(house.engine, None, Console(stderr=True), Circumstances(**given))


def found(house, **given):
    return {
        (finding.check, finding.receipt_id or finding.sku) for finding in look_through(house, **given).findings.listed
    }


def test_receipts_of_every_kind_add_up(shop):
    """The damage below is only worth something where the undamaged books are found clean."""
    report = look_through(shop)

    assert report.findings.listed == []
    assert report.ok
    assert report.receipts == 8
    assert report.by_state == {
        "confirmed": 1, "rejected": 2, "voided": 1, "submitting": 1, "review": 2, "received": 1,
    }  # fmt: skip
    assert {row["receipt_id"]: row["review_from"] for row in report.review} == {
        "review": "received",
        "review_held": "submitting",
    }
    assert report.as_data()["money"] == {"KRW": {"confirmed": 3000}}


@pytest.mark.parametrize(("damage", "expected"), DAMAGES)
def test_damage_is_found_for_what_it_is(shop, damage, expected):
    shop.run(damage)

    assert found(shop) == expected


@pytest.mark.parametrize("oddity", HARMLESS)
def test_what_only_looks_odd_is_no_finding(shop, oddity):
    shop.run(oddity)

    assert found(shop) == set()


def test_what_is_held_back_while_the_gateway_is_away_is_not_overdue(shop):
    shop.run(f"{SET} due_at = now() - interval '1 hour' WHERE receipt_id IN ('rejected', 'received', 'submitting')")
    waits = {("overdue", "rejected"), ("overdue", "received"), ("overdue", "submitting")}
    assert found(shop) == waits
    assert found(shop, away=True) == set()

    shop.run(f"{SET} leased_until = now() - interval '1 hour' WHERE receipt_id = 'submitting'")
    assert found(shop, away=True) == {("overdue", "submitting")}, "a dead worker's is looked at at once, even then"


def test_a_receipt_is_undecided_for_too_long_by_the_deadline_that_is_set(shop):
    shop.run(f"{SET} created_at = now() - interval '100 seconds' WHERE receipt_id = 'received'")

    assert found(shop) == set()
    assert found(shop, deadline=timedelta(seconds=30)) == {("undecided", "received")}
    shop.run(f"{SET} created_at = now() - interval '700 seconds' WHERE receipt_id = 'received'")
    assert found(shop, away=True) == {("undecided", "received")}, "that needs no gateway"


def test_every_check_is_proven_by_some_damage():
    assert {check for _, expected in DAMAGES for check, _ in expected} == {check.name for check in CHECKS}


def test_the_page_for_people_on_duty_knows_every_check_and_what_to_do_about_it():
    page = (Path(__file__).parents[2] / "docs" / "duty.md").read_text()
    example, _, advice = page.partition("## What to do about a finding")

    for check in CHECKS:
        assert f"    {check.name} " in example
        assert check.promise in example
        assert f"`{check.name}`" in advice


def test_every_finding_says_in_words_what_is_wrong(shop):
    shop.run(f"""{SET} items = '{{"cap": 1, "tee": 1}}' WHERE receipt_id = 'confirmed'""")

    assert look_through(shop).as_data()["findings"] == [
        {"check": "sold", "message": "ordered 1 of cap, 1 of tee, sold 1 of cap, 2 of tee", "receipt_id": "confirmed"}
    ]


def test_what_waits_is_counted_and_no_fault(shop):
    shop.run("UPDATE payconfirm.outbox SET at = now() - interval '61 seconds' WHERE receipt_id IN ('voided', 'review')")
    shop.run("INSERT INTO payconfirm.dead_letters (id, source, reason, raw) VALUES (gen_random_uuid(), 'x', 'y', '')")

    report = look_through(shop)

    assert report.ok
    assert report.waiting == {"events_unpublished": 2, "results_unstored": 1, "dead_letters": 1}


def test_a_ruin_is_counted_whole_and_listed_in_part(house):
    """A million findings must neither fill the memory nor be hidden."""
    house.run(
        "INSERT INTO payconfirm.confirmations"
        " (receipt_id, order_id, amount, currency, items, metadata, state, created_at, updated_at, state_since)"
        " SELECT 'r-' || n, 'o', 1, 'KRW', '{}', '{}', 'received', now(), now(), now()"
        " FROM generate_series(1, :rows) n",
        rows=MOST_LISTED + 200,
    )

    report = look_through(house)

    assert len(report.findings) == MOST_LISTED + 200
    assert len(report.findings.listed) == MOST_LISTED
    assert report.as_data()["findings"][-1] == {"check": "forgotten", "message": "and 200 more"}


def test_the_books_are_read_as_of_one_moment(shop):
    """What is sold between two checks must not look like a difference."""
    stock = next(check for check in CHECKS if check.name == "stock")
    with snapshot(shop.engine) as seen:
        before = seen.states()
        shop.run("UPDATE payconfirm.stock SET available = 0")
        shop.run("DELETE FROM payconfirm.confirmations")

        assert list(seen.stream(stock.sql)) == []
        assert seen.states() == before


def test_the_audit_has_time_and_can_write_nothing(house):
    with snapshot(house.engine) as seen:
        shown = [next(seen.stream(f"SELECT current_setting('{name}') AS value"))["value"] for name in TIME_OUTS]
        assert shown == ["2h", "10min"]
    with pytest.raises(StoreUnavailable, match="read-only transaction"), snapshot(house.engine) as seen:
        next(seen.stream("SELECT nextval('payconfirm.feed') AS value"))


def test_the_session_has_its_own_time_outs_back_afterwards(house):
    """A worker's statement on that connection would otherwise have two hours."""
    with snapshot(house.engine):
        pass
    with house.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "4s"
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "off"
