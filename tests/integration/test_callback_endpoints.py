"""What is known of where callbacks go: so many at once at a host, and a pause for one that fails for a day."""

import threading
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.integration.callback_house import House
from tests.receivers import say
from worker.store import calling, calling_statements
from worker.store.calling import AT_ONCE

#: How many look-ups by an index this transaction has made: who is first of its receipt is one each.
LOOK_UPS = """
SELECT idx_scan FROM pg_stat_xact_user_tables
WHERE relid = CAST('payconfirm.callbacks' AS regclass)
"""


@pytest.fixture
def house(engine):
    return House(engine, hosts="127.0.0.1 localhost")


def paths(house):
    """How many are on their way, by where they go."""
    rows = house.ask(
        "SELECT host, count(*) AS number FROM payconfirm.callbacks WHERE leased_until > clock_timestamp() GROUP BY host"
    )
    return {row.host: row.number for row in rows}


def days(house, days):
    house.ask(
        "UPDATE payconfirm.endpoints SET failing_since = failing_since - make_interval(days => :d) RETURNING 1", d=days
    )


def failing_for_a_day(house, shop, receipts=2):
    """Callbacks whose endpoint has taken nothing for a day."""
    shop.answer = partial(say, status=500)
    ids = [house.confirm(f"r{number}", f"{shop.url}?n={number}") for number in range(receipts)]
    while house.turn():
        pass
    days(house, 1)
    house.make_due()
    return ids


def test_so_many_are_on_their_way_to_one_host_and_the_others_don_t_wait(house):
    for number in range(3 * AT_ONCE):
        house.confirm(f"slow{number}", "http://127.0.0.1:1/hook")
    house.confirm("quick", "http://localhost:1/hook")

    leaving = house.calling.take(100)

    assert paths(house) == {"127.0.0.1": AT_ONCE, "localhost": 1}
    assert len(leaving) == AT_ONCE + 1
    assert house.calling.take(100) == []


@pytest.mark.parametrize("limit", [AT_ONCE, pytest.param(12, id="control")])
def test_a_host_never_has_more_requests_at_once_however_many_processes(house, shop, monkeypatch, limit):
    monkeypatch.setattr(calling, "AT_ONCE", limit)
    release = threading.Event()
    shop.answer = lambda handler: (release.wait(20), say(handler, 204))
    for number in range(12):
        house.confirm(f"r{number}", shop.url)

    threads = [threading.Thread(target=house.turn) for _ in range(3)]
    for thread in threads:
        thread.start()
    while shop.working < limit:
        threading.Event().wait(0.01)
    later = house.calling.take(100)
    release.set()
    for thread in threads:
        thread.join()

    assert later == []
    assert shop.most_at_once == limit


def test_a_long_line_at_a_host_is_not_looked_up_one_by_one_for_the_first_of_it(house, engine):
    """With some hundred thousand it took a second for each turn, of all hosts, and with a million there was no turn."""
    house.ask(
        "INSERT INTO payconfirm.callbacks (id, receipt_id, sequence, url, due_at)"
        " SELECT gen_random_uuid(), 'r' || n, 1, 'https://shop.example/?' || n, clock_timestamp()"
        " FROM generate_series(1, 3000) n RETURNING id"
    )
    values = {"most": 100, "at_once": AT_ONCE, "lease": timedelta(seconds=1)}
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.execute(text("ANALYZE payconfirm.callbacks"))
        leaving = connection.execute(text(calling_statements.TAKE), values).all()
        look_ups = connection.execute(text(LOOK_UPS)).scalar_one()

    assert len(leaving) == AT_ONCE
    assert look_ups < 100


@pytest.mark.parametrize("analyzed", [True, False])
def test_a_long_line_of_an_endpoint_that_fails_is_not_looked_through_either(house, engine, analyzed):
    """With some hundred thousand it took a second for each turn, of all hosts, and with a million there was no turn."""
    house.ask(
        "INSERT INTO payconfirm.callbacks (id, receipt_id, sequence, url, due_at)"
        " SELECT gen_random_uuid(), 'r' || n, 1, 'https://shop.example/' || CASE WHEN n > 10 THEN 'bad'"
        " ELSE 'good' END, clock_timestamp() - n * interval '1 second' FROM generate_series(1, 3000) n RETURNING id"
    )
    house.ask(
        "INSERT INTO payconfirm.endpoints (endpoint, failing_since)"
        " VALUES ('https://shop.example/bad', now()) RETURNING endpoint"
    )
    values = {"most": 100, "at_once": AT_ONCE, "lease": timedelta(seconds=1)}
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        if analyzed:
            connection.execute(text("ANALYZE payconfirm.callbacks, payconfirm.endpoints"))
        leaving = connection.execute(text(calling_statements.TAKE), values).all()
        look_ups = connection.execute(text(LOOK_UPS)).scalar_one()

    assert sorted(each.url[-4:] for each in leaving) == ["/bad", *["good"] * (AT_ONCE - 1)]
    assert look_ups < 100


def test_the_next_one_follows_as_soon_as_there_is_room(house):
    for number in range(AT_ONCE + 2):
        house.confirm(f"r{number}", "http://127.0.0.1:1/hook")
    first, *_ = house.calling.take(100)
    claimed = house.calling.claim(first.id, first.fence)

    house.calling.delivered(claimed, 200)

    assert len(house.calling.take(100)) == 1


def test_a_failing_endpoint_gets_one_try_at_a_time_and_the_others_of_its_host_go_on(house, shop):
    shop.answer = partial(say, status=500)
    house.confirm("first", shop.url)
    house.turn()
    for number in range(5):
        house.confirm(f"bad{number}", shop.url)
        house.confirm(f"good{number}", shop.url.replace("/hook", "/other"))

    leaving = house.calling.take(100)

    assert [each.url for each in leaving].count(shop.url) == 1
    assert len(leaving) == AT_ONCE


def test_only_one_relay_takes_at_a_time(house, engine):
    house.confirm("r1", "http://127.0.0.1:1/hook")
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({calling._TURN})")
        assert house.calling.take(10) == []

    assert len(house.calling.take(10)) == 1


def test_an_endpoint_that_fails_for_less_than_a_day_is_tried_on(house, shop):
    shop.answer = partial(say, status=500)
    house.confirm("r1", shop.url)
    house.turn()
    house.make_due()

    house.turn()

    assert house.callbacks.paused() == []
    assert house.states() == ["pending"]


def test_an_endpoint_that_fails_for_a_day_is_paused_and_said_so_and_nothing_is_dropped(house, shop):
    ids = failing_for_a_day(house, shop)
    with capture_logs() as logs:
        house.turn()
    house.turn()
    house.confirm("later", shop.url)
    house.turn()

    assert house.states() == ["paused", "paused", "paused"]
    assert [(log["event"], log["host"]) for log in logs if log["log_level"] == "warning"] == [
        ("callbacks.paused", "127.0.0.1")
    ]
    [paused] = house.callbacks.paused()
    assert (paused["endpoint"], paused["kept"]) == (shop.url, 3)
    assert {call["id"] for call in house.callbacks.listed("paused", 10)} > set(ids)
    assert len(shop.got) == 3


def test_sending_one_again_leaves_the_pause_and_the_others_follow(house, shop):
    [first, _] = failing_for_a_day(house, shop)
    house.turn()
    house.turn()
    shop.answer = partial(say, status=200)

    assert house.callbacks.resend(first)
    assert house.turn() == 1
    assert house.states() == ["delivered", "paused"]
    assert house.turn() == 1

    assert house.states() == ["delivered", "delivered"]
    assert house.callbacks.paused() == []


def test_sending_one_again_in_vain_leaves_the_pause_as_it_is(house, shop):
    [first, _] = failing_for_a_day(house, shop)
    house.turn()
    house.turn()

    assert house.callbacks.resend(first)
    assert house.turn() == 1
    house.make_due()

    assert house.turn() == 0
    assert house.states() == ["paused", "paused"]
    assert [each["kept"] for each in house.callbacks.paused()] == [2]


def test_what_follows_a_paused_one_waits_for_it_when_the_pause_is_over(house, shop, monkeypatch):
    """More are paused than one turn brings back; what came meanwhile must not overtake them."""
    first = failing_for_a_day(house, shop)
    house.turn()
    house.turn()
    monkeypatch.setattr(calling, "CHANGED_AT_ONCE", 1)
    house.ask("UPDATE payconfirm.endpoints SET failing_since = NULL, paused_at = NULL RETURNING 1")
    then = [house.tell_more(f"r{number}") for number in range(2)]
    shop.answer = partial(say, status=200)
    shop.got.clear()

    while house.turn():
        pass

    sent = [got.headers["webhook-id"] for got in shop.got]
    assert len(sent) == 4
    assert all(sent.index(one) < sent.index(next_one) for one, next_one in zip(first, then, strict=True))


def test_people_may_send_one_before_another_that_is_paused(house, shop):
    [first] = failing_for_a_day(house, shop, receipts=1)
    house.turn()
    later = house.tell_more("r0")
    house.turn()
    shop.answer = partial(say, status=200)

    assert house.callbacks.resend(later)
    assert house.turn() == 1

    assert (house.row(first).state, house.row(later).state) == ("paused", "delivered")


def test_a_success_ends_the_counting_of_the_day(house, shop):
    failing_for_a_day(house, shop, receipts=1)
    shop.answer = partial(say, status=200)
    house.turn()
    shop.answer = partial(say, status=500)
    house.confirm("later", shop.url)

    house.turn()

    assert house.states() == ["delivered", "pending"]
    assert house.callbacks.paused() == []


def test_a_query_is_no_endpoint_of_its_own(house, shop):
    failing_for_a_day(house, shop, receipts=2)

    rows = house.ask("SELECT endpoint FROM payconfirm.endpoints")

    assert [row.endpoint for row in rows] == [shop.url]


def test_a_document_that_takes_a_receipt_over_doesn_t_wait_for_the_other_s_shop(house, shop):
    house.confirm("r1", "http://127.0.0.1:1/hook")
    house.turn()
    house.ask("UPDATE payconfirm.confirmations SET callback_url = :url RETURNING 1", url=shop.url)
    house.tell_more("r1")

    assert house.turn() == 1
    assert len(shop.got) == 1
