"""What people on duty see of callbacks, and what they can do to one."""

import json

import pytest

from confirmation.operating import NotDone
from tests.integration.callback_house import House
from worker.duty.callbacks import send_again, show


@pytest.fixture
def house(engine):
    return House(engine)


def test_a_list_shows_the_id_in_one_piece_where_it_goes_and_why_it_failed(house, capsys):
    gone = House(house.engine, hosts="shop.example")
    event_id = gone.confirm("r1", "https://shop.example.evil/hook?token=hush")
    gone.turn()

    show(house.callbacks, "failed", as_json=False)

    shown = capsys.readouterr().out
    assert event_id in shown
    assert "hush" not in shown
    for word in ("r1", "confirmed", "failed", "names"):
        assert word in shown


def test_the_same_as_json(house, capsys):
    event_id = house.confirm("r1", "https://shop.example/hook?token=hush")

    show(house.callbacks, None, as_json=True)

    [call] = json.loads(capsys.readouterr().out)
    assert (call["id"], call["state"], call["endpoint"]) == (event_id, "pending", "https://shop.example/hook")


def test_what_is_paused_stands_above_the_list(house, capsys):
    house.confirm("r1", "http://127.0.0.1:1/hook")
    house.turn()
    house.ask("UPDATE payconfirm.endpoints SET paused_at = clock_timestamp() RETURNING 1")

    capsys.readouterr()

    show(house.callbacks, None, as_json=False)

    assert capsys.readouterr().out.startswith("paused endpoint")


def test_nothing_is_said_to_be_nothing(house, capsys):
    show(house.callbacks, "failed", as_json=False)

    assert capsys.readouterr().out == "none\n"


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
