"""No order document, and no row, stops the callbacks of all others."""

import random
from functools import partial

import pytest
from structlog.testing import capture_logs

from payconfirm.document import read_document
from tests.integration.callback_house import House
from tests.receivers import say
from worker.callbacks import delivery

#: No index entry of this many random characters would be small enough, however it is compressed.
HANGUL = "".join(random.Random(3).choices([chr(each) for each in range(0xAC00, 0xD7A4)], k=2_048))
BEYOND = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"

#: What an index, a disk or a check that we don't know of would do.
TRAP = """
CREATE FUNCTION payconfirm.trap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'out of order' USING ERRCODE = 'program_limit_exceeded'; END $$;
CREATE TRIGGER trap BEFORE UPDATE ON payconfirm.callbacks FOR EACH ROW
WHEN (OLD.receipt_id = 'bad' AND {what}) EXECUTE FUNCTION payconfirm.trap();
SELECT 1
"""


@pytest.fixture
def house(engine):
    return House(engine)


def longest(url):
    return url + "/" + HANGUL[: 2_048 - len(url) - 1]


def test_the_longest_url_of_the_contract_is_sent_and_holds_nobody(house, shop):
    url = longest(shop.url)
    read_document({"receipt_id": "long", "order_id": "o", "amount": 1, "callback_url": url})
    ids = [house.confirm("long", url), house.confirm("long-too", url), house.confirm("good", shop.url)]

    house.turn()

    assert [house.row(each).state for each in ids] == ["delivered"] * 3
    assert len({got.path for got in shop.got}) == 2
    assert max(len(got.path) for got in shop.got) > 17_000


def test_the_longest_url_is_paused_and_follows_once_one_is_taken_like_any(house, shop):
    shop.answer = partial(say, status=503)
    url = longest(shop.url)
    first, second = house.confirm("r1", url), house.confirm("r2", url[:-1])
    house.turn()
    house.ask("UPDATE payconfirm.endpoints SET failing_since = failing_since - interval '1 day' RETURNING 1")
    house.make_due()
    house.turn()
    assert house.states() == ["paused", "paused"]
    assert {each["endpoint"]: each["kept"] for each in house.callbacks.paused()} == {url: 1, url[:-1]: 1}
    assert {each["endpoint"] for each in house.callbacks.listed("paused", 10)} == {url, url[:-1]}

    shop.answer = partial(say, status=204)
    house.callbacks.resend(first)
    house.turn()

    assert (house.row(first).state, house.row(second).state) == ("delivered", "paused")


@pytest.mark.parametrize("what", ["NEW.state = 'pending'", "true"])
def test_a_row_that_the_database_won_t_have_taken_holds_nobody(house, shop, what):
    bad = house.confirm("bad", shop.url)
    good = [house.confirm(f"good{number}", shop.url) for number in range(3)]
    house.ask(TRAP.format(what=what))

    with capture_logs() as logs:
        house.turn()

    assert [house.row(each).state for each in good] == ["delivered"] * 3
    assert [log["callback"] for log in logs if log["event"] == "callback.not_taken"] == [bad]
    if what != "true":
        row = house.row(bad)
        assert (row.state, row.last_error) == ("failed", "payconfirm failed over it: out of order")


def test_what_can_t_be_paused_holds_nobody(house, shop):
    bad, good = house.confirm("bad", shop.url), house.confirm("good", shop.url + "/other")
    house.ask(
        "INSERT INTO payconfirm.endpoints (endpoint, failing_since, paused_at) VALUES (:url, now(), now()) RETURNING 1",
        url=shop.url,
    )
    house.ask(TRAP.format(what="NEW.state = 'paused'"))

    house.turn()

    assert (house.row(bad).state, house.row(good).state) == ("pending", "delivered")


def test_a_callback_that_we_fail_over_after_its_answer_comes_again_by_the_table(house, shop, monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(delivery, "read_wish", fail)
    shop.answer = partial(say, status=503)
    event_id = house.confirm("r1", shop.url)

    house.turn()

    row = house.row(event_id)
    assert (row.state, row.leased_until, row.last_error) == ("pending", None, "payconfirm failed over it: RuntimeError")
    assert 4 < house.wait_of(event_id) <= 5.5


def test_a_retry_after_beyond_all_years_is_none(house, shop):
    shop.answer = partial(say, status=503, Retry_After=BEYOND)
    event_id = house.confirm("r1", shop.url)

    house.turn()

    assert (house.row(event_id).attempts, house.row(event_id).last_status) == (1, 503)
    assert 4 < house.wait_of(event_id) <= 5.5
