"""A callback is signed, comes again by the contract's table, in order, and ends as it should."""

import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest
from standardwebhooks import Webhook

from tests.integration.callback_house import OTHER_SECRET, SECRET, House
from tests.receivers import closed_port, receiving, say
from worker.callbacks.retries import WAITS
from worker.store.callbacks import Callbacks


@pytest.fixture
def house(engine):
    return House(engine)


def test_an_event_is_posted_signed_as_standard_webhooks_says(house, shop):
    event_id = house.confirm("r1", shop.url + "?shop=7")

    assert house.turn() == 1

    [got] = shop.got
    event = Webhook(SECRET).verify(got.body, got.headers)
    assert (event["id"], event["type"], event["subject"]) == (event_id, "payconfirm.confirmed", "r1")
    assert (event["data"]["state"], event["sequence"]) == ("confirmed", 1)
    assert got.path == "/hook?shop=7"
    assert got.headers["webhook-id"] == event_id
    assert (got.headers["Content-Type"], got.headers["User-Agent"]) == ("application/cloudevents+json", "payconfirm")
    row = house.row(event_id)
    assert (row.state, row.attempts, row.last_status, row.due_at, row.leased_until) == ("delivered", 1, 204, None, None)


def test_a_receipt_without_a_callback_url_has_no_callback(house):
    house.confirm("r1", None)

    assert house.states() == []


def test_while_a_secret_is_being_replaced_both_verify(engine, shop):
    house = House(engine, secrets=f"{OTHER_SECRET} {SECRET}")
    house.confirm("r1", shop.url)

    house.turn()

    assert len(shop.got[0].headers["webhook-signature"].split(" ")) == 2
    assert shop.events(SECRET) == shop.events(OTHER_SECRET) == shop.events(f"{SECRET} {OTHER_SECRET}")


def test_it_comes_again_by_the_table_with_the_same_bytes_and_then_has_failed(house, shop):
    shop.answer = partial(say, status=503, body=b"out\nof \x1b[31morder")
    event_id = house.confirm("r1", shop.url)

    for tries, wait in enumerate(WAITS, start=1):
        assert house.turn() == 1
        assert house.turn() == 0
        assert (house.row(event_id).state, house.row(event_id).attempts) == ("pending", tries)
        assert wait.total_seconds() - 3 < house.wait_of(event_id) <= wait.total_seconds() * 1.1
        house.make_due()
    house.turn()

    row = house.row(event_id)
    assert (row.state, row.attempts, row.last_status, row.due_at) == ("failed", 8, 503, None)
    assert row.last_error == "it answered 503: out of  [31morder"
    assert len({got.body for got in shop.got}) == 1
    assert {got.headers["webhook-id"] for got in shop.got} == {event_id}
    assert [call["id"] for call in house.callbacks.listed("failed", 10)] == [event_id]
    assert [wait.total_seconds() for wait in WAITS] == [5, 30, 120, 600, 3600, 21600, 86400]


@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        ("90", 88, 90),
        ("2", 5, 5.5),  # never earlier than our own
        ("999999999999999", 86_395, 86_400),  # at most a day
        (timedelta(hours=2), 7_000, 7_200),  # as a date
        (timedelta(hours=-2), 4, 5.5),
        ("soon", 4, 5.5),
        ("-5", 4, 5.5),
        ("٣٠", 4, 5.5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_makes_it_later_and_never_earlier(engine, wish, least, most, status):
    if isinstance(wish, timedelta):
        wish = format_datetime(datetime.now(UTC) + wish, usegmt=True)
    with receiving() as shop:
        house = House(engine)

        def answer(handler):
            handler.send_response(status)
            handler.wfile.write(b"".join(handler._headers_buffer))
            handler._headers_buffer = []
            handler.wfile.write(b"Retry-After: " + wish.encode() + b"\r\nContent-Length: 0\r\n\r\n")

        shop.answer = answer
        event_id = house.confirm("r1", shop.url)

        house.turn()

        assert least - 3 < house.wait_of(event_id) <= most + 1


def test_gone_ends_it_at_once(house, shop):
    shop.answer = partial(say, status=410)
    event_id = house.confirm("r1", shop.url)

    house.turn()

    assert (house.row(event_id).state, house.row(event_id).attempts) == ("failed", 1)
    assert "410" in house.row(event_id).last_error


def test_a_later_event_of_a_receipt_waits_for_the_earlier_one(house, shop):
    shop.answer = partial(say, status=500)
    first = house.confirm("r1", shop.url)
    second = house.tell_more("r1")
    other = house.confirm("r2", shop.url)

    house.turn()
    house.turn()
    assert sorted(got.headers["webhook-id"] for got in shop.got) == sorted([first, other])  # in whichever order

    shop.answer = partial(say, status=200)
    house.make_due()
    while house.turn():
        pass
    assert [got.headers["webhook-id"] for got in shop.got if got.headers["webhook-id"] != other] == [
        first,
        first,
        second,
    ]
    assert house.states() == ["delivered"] * 3


def test_a_failed_one_lets_the_later_ones_pass_and_is_sent_again_by_hand(house, shop):
    shop.answer = partial(say, status=410)
    first = house.confirm("r1", shop.url)
    house.turn()
    shop.answer = partial(say, status=204)
    second = house.tell_more("r1")
    house.turn()
    assert house.states() == ["failed", "delivered"]

    assert house.callbacks.resend(first)
    assert house.turn() == 1

    assert house.states() == ["delivered", "delivered"]
    assert [got.headers["webhook-id"] for got in shop.got] == [first, second, first]


def test_what_is_on_its_way_is_not_sent_a_second_time_by_hand(house, shop):
    event_id = house.confirm("r1", shop.url)
    [leaving] = house.calling.take(10)

    assert not house.callbacks.resend(event_id)

    house.delivery.carry(leaving.id, leaving.fence, lambda run: run())
    assert house.callbacks.resend(event_id)
    with pytest.raises(LookupError):
        house.callbacks.resend("00000000-0000-0000-0000-000000000000")
    with pytest.raises(LookupError):
        house.callbacks.resend("1; DROP TABLE")


def test_a_killed_process_s_callback_moves_again_and_a_second_copy_of_its_message_does_nothing(house, shop):
    event_id = house.confirm("r1", shop.url)
    [leaving] = house.calling.take(10)
    claimed = house.calling.claim(leaving.id, leaving.fence)
    assert claimed is not None  # and its process is killed here
    assert house.calling.claim(leaving.id, leaving.fence) is None
    assert house.turn() == 0

    house.ask("UPDATE payconfirm.callbacks SET leased_until = clock_timestamp() - interval '1 second' RETURNING id")
    assert house.turn() == 1

    assert house.row(event_id).state == "delivered"
    assert house.calling.not_taken(claimed, "late", None, timedelta(seconds=5)) is None
    assert house.row(event_id).state == "delivered"
    assert len(shop.got) == 1


def test_a_message_that_was_lost_is_sent_again(house, shop):
    house.confirm("r1", shop.url)
    [lost] = house.calling.take(10)
    house.ask("UPDATE payconfirm.callbacks SET leased_until = clock_timestamp() - interval '1 second' RETURNING id")

    [again] = house.calling.take(10)

    assert again == lost  # so that the first one, had it only been slow, does as well


def test_what_could_not_be_sent_off_is_taken_again_at_once(house, shop):
    house.confirm("r1", shop.url)
    leaving = house.calling.take(10)

    house.calling.give_back(leaving)

    assert house.calling.take(10) == leaving


def test_a_callback_to_a_host_that_is_no_longer_allowed_has_failed_and_says_why(engine, shop):
    event_id = House(engine).confirm("r1", shop.url)
    house = House(engine, hosts="shop.example")

    house.turn()

    row = house.row(event_id)
    assert row.state == "failed"
    assert row.last_error.startswith("callback_url: names a host that callbacks may not go to")
    assert shop.got == []
    assert house.ask("SELECT * FROM payconfirm.endpoints") == []
    assert House(engine).callbacks.resend(event_id)
    House(engine).turn()
    assert len(shop.got) == 1


def test_a_server_that_is_not_there_is_no_answer(house):
    event_id = house.confirm("r1", f"http://127.0.0.1:{closed_port()}/")

    house.turn()

    assert house.row(event_id).last_error.startswith("no answer (")
    assert (house.row(event_id).state, house.row(event_id).last_status) == ("pending", None)


def test_neither_the_secret_nor_the_address_s_query_stands_in_a_log_or_a_list(house, shop, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shop.answer = partial(say, status=410)
    house.confirm("r1", shop.url + "?token=hush")
    house.confirm("r2", "http://127.0.0.1:1/?token=hush")

    house.turn()

    told = caplog.text + "".join(capfd.readouterr()) + json.dumps(house.callbacks.listed(None, 10))
    assert "callback.carried" in told
    assert "hush" not in told
    assert SECRET.removeprefix("whsec_") not in told


def test_a_state_that_there_is_not_is_refused(engine):
    with pytest.raises(ValueError, match="pending, delivered, failed, paused"):
        Callbacks(engine).listed("lost", 10)
