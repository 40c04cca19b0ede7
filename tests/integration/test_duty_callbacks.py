"""What people on duty see of callbacks, and what they can do to one."""

import json

import pytest

from confirmation.operating import NotDone
from tests.integration.callback_house import House
from worker.duty.callbacks import Wanted, send_again, show


@pytest.fixture
def house(engine):
    return House(engine)


def test_a_list_shows_the_id_in_one_piece_where_it_goes_and_why_it_failed(house, capsys):
    gone = House(house.engine, hosts="shop.example")
    event_id = gone.confirm("r1", "https://shop.example.evil/hook?token=hush")
    gone.turn()

    show(house.callbacks, Wanted("failed"), as_json=False)

    shown = capsys.readouterr().out
    assert event_id in shown
    assert "hush" not in shown
    for word in ("r1", "confirmed", "failed", "names"):
        assert word in shown


def test_the_same_as_json(house, capsys):
    event_id = house.confirm("r1", "https://shop.example/hook?token=hush")

    show(house.callbacks, Wanted(), as_json=True)

    [call] = json.loads(capsys.readouterr().out)
    assert (call["id"], call["state"], call["endpoint"]) == (event_id, "pending", "https://shop.example/hook")


def test_what_is_paused_stands_above_the_list(house, capsys):
    house.confirm("r1", "http://127.0.0.1:1/hook")
    house.turn()
    house.ask("UPDATE payconfirm.endpoints SET paused_at = clock_timestamp() RETURNING 1")

    capsys.readouterr()

    show(house.callbacks, Wanted(), as_json=False)

    assert capsys.readouterr().out.startswith("paused endpoint")


def test_nothing_is_said_to_be_nothing(house, capsys):
    show(house.callbacks, Wanted("failed"), as_json=False)

    assert capsys.readouterr().out == "none\n"


def deliver(house, receipt_id, shop):
    event_id = house.confirm(receipt_id, shop.url)
    house.turn()
    return event_id


def test_what_is_not_delivered_is_listed_and_what_was_is_only_counted(house, shop, capsys):
    """Thirty that went well would hide the one that didn't."""
    delivered = [deliver(house, f"good-{number}", shop) for number in range(3)]
    failed = house.confirm("r-failed", "https://shop.example.evil/hook")
    house.turn()
    waiting = house.confirm("r-waiting", shop.url)
    capsys.readouterr()

    show(house.callbacks, Wanted(), as_json=False)

    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()[1:-1]] == [failed, waiting]
    assert shown.endswith("\n3 delivered\n")
    show(house.callbacks, Wanted(), as_json=True)
    assert {call["id"] for call in json.loads(capsys.readouterr().out)} == {failed, waiting, *delivered}


def test_where_all_were_delivered_it_is_said_in_two_lines(house, shop, capsys):
    deliver(house, "r1", shop)
    capsys.readouterr()

    show(house.callbacks, Wanted(), as_json=False)

    assert capsys.readouterr().out == "nothing undelivered\n1 delivered\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_one_receipts_are_listed_whatever_became_of_them(house, shop, capsys, as_json):
    first = deliver(house, "r1", shop)
    second = house.tell_more("r1")
    other = house.confirm("r2", shop.url)
    capsys.readouterr()

    show(house.callbacks, Wanted(receipt_id="r1"), as_json=as_json)

    shown = capsys.readouterr().out
    assert first in shown
    assert second in shown
    assert other not in shown


def test_one_is_sent_again_unless_it_is_unknown_or_on_its_way(house):
    event_id = house.confirm("r1", "http://127.0.0.1:1/hook")

    assert "is sent again" in send_again(house.callbacks, event_id)

    house.calling.take(10)
    with pytest.raises(NotDone, match="on its way at this moment"):
        send_again(house.callbacks, event_id)
    with pytest.raises(NotDone, match="it is a UUID"):
        send_again(house.callbacks, "everything")
    with pytest.raises(NotDone, match="no callback 018f"):
        send_again(house.callbacks, "018f0000-0000-7000-8000-000000000000")
