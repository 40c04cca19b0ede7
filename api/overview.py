"""How things stand, for a person: each number once, in words and with its unit."""

from collections.abc import Iterable

from api.markup import Html, command, joined, tag
from confirmation.states import State
from worker.duty.measures import MOST, Measure

#: The states in the order of a receipt's life.
LIFE = (
    State.RECEIVED,
    State.SUBMITTING,
    State.REVIEW,
    State.CONFIRMED,
    State.REJECTED,
    State.VOIDING,
    State.VOIDED,
)
#: What is told, by the way it takes.
_WAYS = {"events": "events", "results": "results to poll", "feed": "feed"}
_UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"), (0, "s"))

#: A card: what it counts, how many, and how it is to be looked at.
Card = tuple[str, str, str]


class Numbers:
    """The measures by their names; what isn't among them is none."""

    def __init__(self, measures: Iterable[Measure]) -> None:
        self._values = {(measure.name, measure.label): measure.value for measure in measures}

    def __call__(self, name: str, label: str = "") -> float:
        """How many."""
        return self._values.get((name, label), 0)

    def card(self, words: str, name: str, label: str = "", look: str = "") -> Card:
        """Show how many; where there are any, to be looked at like this."""
        value = self(name, label)
        return words, count(value, bounded=State.__members__.get(label.upper()) not in _ENDED), look if value else ""


_ENDED = frozenset({State.CONFIRMED, State.REJECTED, State.VOIDED})


def overview(measures: list[Measure] | None) -> Html:
    """Give the numbers in groups."""
    if measures is None:
        return tag("section", tag("h2", "How things stand"), tag("p", "couldn't be read"))
    numbers = Numbers(measures)
    states = [numbers.card(state, "confirmations", state, "asked" if state is State.REVIEW else "") for state in LIFE]
    groups = (
        _group("Receipts", states),
        _group("Looks", _looks(numbers)),
        _group("Announcements", [_behind(numbers, way) for way in _WAYS]),
        _group("Callbacks", _callbacks(numbers)),
        _group("Dead letters", [numbers.card("kept", "dead_letters", look="asked")]),
    )
    return tag("section", tag("h2", "How things stand"), tag("div", *groups, class_="groups"), _late(numbers))


def _looks(numbers: Numbers) -> list[Card]:
    oldest = numbers("oldest_due")
    return [
        numbers.card("due now", "due"),
        ("the oldest for", lasting(oldest) if oldest else "none", ""),
        numbers.card("overdue", "overdue", look="wrong"),
    ]


def _behind(numbers: Numbers, way: str) -> Card:
    waiting = numbers("outbox", way)
    if not waiting:
        return _WAYS[way], "up to date", ""
    return _WAYS[way], f"{count(waiting)} waiting, {lasting(numbers('outbox_oldest', way))} behind", ""


def _callbacks(numbers: Numbers) -> list[Card]:
    return [
        numbers.card("pending", "callbacks", "pending"),
        numbers.card("failed", "callbacks", "failed", "wrong"),
        numbers.card("paused", "callbacks", "paused", "wrong"),
    ]


def _late(numbers: Numbers) -> Html:
    if not numbers("overdue"):
        return Html()
    said = "Nobody came for what is overdue: see that a relay and a worker run; it goes on by itself then. "
    return tag("p", said, command("python -m worker health"), class_="wrong")


def _group(title: str, cards: Iterable[Card]) -> Html:
    shown = [
        tag("div", tag("dt", words), tag("dd", number, class_=look) if look else tag("dd", number))
        for words, number, look in cards
    ]
    return tag("div", tag("h3", title), tag("dl", joined(shown), class_="cards"))


def count(value: float, *, bounded: bool = True) -> str:
    """A number as people read it; nothing open is counted further than a bound."""
    return f"{value:,.0f}" + (" or more" if bounded and value >= MOST else "")


def lasting(seconds: float) -> str:
    """A time in one unit."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size * 2 or not size)
    return f"{seconds / (size or 1):,.0f} {unit}"
