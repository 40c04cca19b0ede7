"""Following the feed: what a reader who is behind costs the event loop."""

import asyncio
import json

import pytest

from api.following import PAGE, PIECE_BYTES, Following
from worker.store.feed import Placed


def read_all(letters, events=3 * PAGE):
    """Give the pieces that a reader from the beginning gets of so many events, each with so many letters."""

    async def read(after, most):
        last = min(after + most, events)
        return [
            Placed(place, {"type": "payconfirm.confirmed", "data": "x" * letters})
            for place in range(after + 1, last + 1)
        ]

    async def follow():
        pieces, following = [], Following(read).frames(0)
        while sum(piece.count(b"id: ") for piece in pieces) < events:
            pieces.append(await anext(following))
        return pieces

    return asyncio.run(follow())


def test_small_events_go_out_page_by_page():
    pieces = read_all(100)

    assert [piece.count(b"id: ") for piece in pieces] == [0, PAGE, PAGE, PAGE]


@pytest.mark.parametrize("letters", [4_000, PIECE_BYTES + 1])
def test_a_piece_is_no_larger_than_it_must_be(letters):
    pieces = read_all(letters, PAGE)

    assert all(len(piece) <= PIECE_BYTES or piece.count(b"id: ") == 1 for piece in pieces)


def test_an_event_is_one_line_whatever_a_reader_takes_for_an_end_of_one():
    """
    Metadata may hold what Python's own `splitlines`, and many a library, splits at.
    """
    note = "a\x85b\u2028c\u2029d"

    async def read(after, _):
        return [Placed(1, {"type": "payconfirm.confirmed", "note": note})] if after == 0 else []

    async def follow():
        frames = Following(read).frames(0)
        await anext(frames)
        return (await anext(frames)).decode()

    *_, data, end = asyncio.run(follow()).splitlines()
    assert end == ""
    assert json.loads(data.removeprefix("data: "))["note"] == note
