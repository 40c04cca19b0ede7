"""The decision table of the design, written out as what must be true after one look, and how to bring each row about.

`KINDS` says how the sandbox gateway is made to show a receipt as each row of the table has it, in each version of the
API. `EXPECTED` has a line for each row and moment, and a cell for each state that a receipt can be in.
"""

from typing import Any, NamedTuple

from confirmation.answers import Seen

OTHER = 3001


class Kind(NamedTuple):
    """One way to have a receipt shown as a row of the table."""

    name: str
    #: What is changed of the gateway's receipt, one change after the other.
    changes: tuple[dict[str, Any], ...] = ()
    #: What the gateway does from then on, until it is told otherwise.
    faults: tuple[dict[str, Any], ...] = ()
    #: Whether the gateway is given so little time that it can't answer.
    hurried: bool = False


class Way(NamedTuple):
    """A line's title: the row of the design's table that it is seen as, and how, in each version."""

    seen: Seen
    v1: list[Kind]
    v2: list[Kind]


def changed(**change):
    return Kind(" ".join(f"{name} {value}" for name, value in change.items()), (change,))


def shown_as(number, **change):
    """The gateway shows this number, whatever its receipt is at."""
    fault = {"call": "receipt", "fault": "status", "status": number}
    said = " ".join(f"{name} {value}" for name, value in change.items())
    return Kind(f"shown as {number} {said}".strip(), (change,) if change else (), (fault,))


def answered(fault, call="receipt", **more):
    return Kind(fault.replace("_", " "), (), ({"call": call, "fault": fault, **more},))


def both(seen, *kinds):
    return Way(seen, list(kinds), list(kinds))


#: By order: a receipt in v2 that is at 2 and whose method is a virtual account is shown at 5.
_TO_DEPOSIT = changed(method="vbank", status=2)
_REFUSED_CANCEL = {"call": "cancel", "fault": "cancel_refused"}
_NOT_PAYMENTS_IN_V2 = (11, 12, 40, 41, 42, 50, 60, 61, -11, -40, -60, -61)

KINDS = {
    "ready": both(Seen.READY, changed(status=2)),
    "ready, other amount": both(Seen.READY_OTHER_AMOUNT, changed(status=2, price=OTHER)),
    "ready, other currency": both(Seen.READY_OTHER_AMOUNT, changed(status=2, currency="USD")),
    "in flight": both(Seen.IN_FLIGHT, changed(status=4)),
    "in flight, other amount": both(Seen.IN_FLIGHT_OTHER_AMOUNT, changed(status=4, price=OTHER)),
    "in flight, other currency": both(Seen.IN_FLIGHT_OTHER_AMOUNT, changed(status=4, currency="USD")),
    "paid": both(Seen.PAID, changed(status=1)),
    "paid into a virtual account": both(Seen.PAID, changed(method="vbank", status=1)),
    "paid, other amount": both(Seen.PAID_OTHER_AMOUNT, changed(status=1, price=OTHER)),
    "paid, other currency": both(Seen.PAID_OTHER_AMOUNT, changed(status=1, currency="USD")),
    "partly cancelled": both(
        Seen.PARTLY_CANCELLED,
        Kind("at 1", ({"status": 1}, {"cancelled_price": 1000})),
        Kind("shown as 20", ({"status": 1}, {"cancelled_price": 1000}), shown_as(20).faults),
    ),
    "failed": Way(
        Seen.FAILED,
        [changed(status=status) for status in (-1, -2, -3)],
        [changed(status=status) for status in (-2, -3, -4)],
    ),
    "cancelled in full": both(
        Seen.CANCELLED,
        changed(status=20),
        Kind("20 without sums", ({"status": 20}, {"cancelled_price": 0})),
        Kind("all cancelled, shown as 1", ({"status": 20},), shown_as(1).faults),
    ),
    "a cancel under way": Way(Seen.CANCEL_UNDER_WAY, [changed(status=-30)], []),
    "a cancel failed": Way(Seen.CANCEL_FAILED, [Kind("-20", ({"status": -20},), (_REFUSED_CANCEL,))], []),
    "not authorised": both(Seen.NOT_THERE, changed(status=0)),
    "not there": both(Seen.NOT_THERE, answered("not_found")),
    "waits for a deposit": Way(
        Seen.AWAITING_DEPOSIT,
        [_TO_DEPOSIT],
        [_TO_DEPOSIT, changed(status=5), shown_as(2, method="vbank", status=2)],
    ),
    "not a payment": Way(
        Seen.NOT_A_PAYMENT,
        [changed(status=status) for status in (11, -11)],
        [changed(status=status) for status in _NOT_PAYMENTS_IN_V2],
    ),
    "another order's": both(
        Seen.OTHER_ORDER,
        *(changed(order_id="another order", status=status) for status in (1, 2, 20, 4, 0, -2, 77)),
    ),
    "a number nobody documented": Way(
        Seen.UNDOCUMENTED,
        [changed(status=77), *(shown_as(status) for status in (4, 5, 12, 40, -4))],
        [changed(status=77), *(shown_as(status) for status in (3, -1, -20, -30))],
    ),
    "no word": both(
        Seen.NO_WORD,
        answered("http_502_html"),
        answered("http_500"),
        answered("http_401"),
        answered("http_429", seconds=7),
        answered("no_answer"),
        answered("not_json"),
        answered("half_json"),
        answered("huge_body"),
        Kind("timeout", faults=({"call": "receipt", "fault": "hang", "seconds": 1},), hurried=True),
    ),
}

#: What can't be brought about, and why.
CANT_BE_SHOWN = {
    ("v2", Seen.CANCEL_UNDER_WAY): "v2 has no number for a cancel on its way: such a receipt is shown as paid",
    ("v2", Seen.CANCEL_FAILED): "v2 has no number for a cancel that failed: such a receipt is shown as paid",
}

FIRST, TWO, TEN, LATE, LATE_TWO, LATE_TEN, DAY = (
    "first look",
    "two looks, 3 s apart",
    "looks for 10 s",
    "late",
    "late, two looks",
    "late, looks for 10 s",
    "a day later",
)

#: Written out from the design. What is true after the look: the state, with the reason where it has just been entered.
#: `waits`: nothing has changed, and it is looked at again. `ends`: nothing has changed, and no look is planned.
#: `drift`: that is told, and nothing has changed. `+submit`, `+cancel`: the gateway was asked for it once, else never.
#: `-`: the look before has moved it already. Blank: as at the first look, and not tried again.
#: What voids gets no answer to its first cancel, so that `voiding` is seen. What is voiding began with `out_of_stock`.
EXPECTED = """
seen                        | moment               | received                          | submitting                        | voiding                       | review, was received              | review, was submitting            | review, was voiding         | rejected                      | confirmed
ready                       | first look           | confirmed +submit                 | waits                             | waits                         | waits                             | waits                             | waits                       | waits                         | ends
ready                       | two looks, 3 s apart | -                                 | confirmed +submit                 | rejected out_of_stock         | waits                             | waits                             | rejected out_of_stock       |                               |
ready                       | late                 | rejected deadline_exceeded        | waits                             |                               | waits                             | waits                             |                             | waits                         |
ready                       | late, two looks      | -                                 | rejected deadline_exceeded        | rejected out_of_stock         | rejected deadline_exceeded        | rejected deadline_exceeded        | rejected out_of_stock       |                               |
ready, other amount         | first look           | rejected amount_mismatch          | review amount_mismatch            | waits                         | waits                             | waits                             | waits                       | waits                         | ends
ready, other amount         | late, two looks      | -                                 | -                                 | waits                         | waits                             | waits                             | waits                       |                               |
ready, other currency       | first look           | rejected currency_mismatch        | review currency_mismatch          | waits                         | waits                             | waits                             | waits                       | waits                         | ends
in flight, other amount     | first look           | waits                             | review amount_mismatch            | waits                         | waits                             | waits                             | waits                       | waits                         | ends
in flight, other amount     | late                 | review amount_mismatch            | review amount_mismatch            | waits                         | waits                             | waits                             | waits                       |                               |
in flight, other currency   | first look           | waits                             | review currency_mismatch          | waits                         | waits                             | waits                             | waits                       | waits                         | ends
paid                        | first look           | confirmed                         | confirmed                         | voided out_of_stock +cancel   | confirmed                         | confirmed                         | voided out_of_stock +cancel | voiding late_approval +cancel | ends
paid                        | late                 | confirmed                         | confirmed                         | voided out_of_stock +cancel   | confirmed                         | confirmed                         | voided out_of_stock +cancel | voiding late_approval +cancel |
paid                        | a day later          | confirmed                         | confirmed                         | review cancel_failed          |                                   |                                   | voided out_of_stock +cancel |                               |
paid into a virtual account | first look           | confirmed                         | confirmed                         | review virtual_account_refund | confirmed                         | confirmed                         | waits                       | review virtual_account_refund | ends
paid, other amount          | first look           | voiding amount_mismatch +cancel   | voiding amount_mismatch +cancel   | voided out_of_stock +cancel   | voiding amount_mismatch +cancel   | voiding amount_mismatch +cancel   | voided out_of_stock +cancel | voiding late_approval +cancel | ends
paid, other currency        | first look           | voiding currency_mismatch +cancel | voiding currency_mismatch +cancel | voided out_of_stock +cancel   | voiding currency_mismatch +cancel | voiding currency_mismatch +cancel | voided out_of_stock +cancel | voiding late_approval +cancel | ends
partly cancelled            | first look           | review partly_cancelled           | review partly_cancelled           | voided out_of_stock +cancel   | waits                             | waits                             | waits                       | voiding late_approval +cancel | drift
partly cancelled            | two looks, 3 s apart | -                                 | -                                 | -                             | waits                             | waits                             | waits                       | -                             | ends
in flight                   | first look           | waits                             | waits                             | waits                         | waits                             | waits                             | waits                       | waits                         | ends
in flight                   | late                 | review gateway_unclear            | review gateway_unclear            | waits                         | waits                             | waits                             | waits                       | waits                         |
failed                      | first look           | rejected payment_failed           | rejected declined                 | rejected out_of_stock         | rejected payment_failed           | rejected declined                 | rejected out_of_stock       | ends                          | ends
cancelled in full           | first look           | rejected already_cancelled        | rejected already_cancelled        | voided out_of_stock           | rejected already_cancelled        | rejected already_cancelled        | voided out_of_stock         | ends                          | drift
cancelled in full           | two looks, 3 s apart | -                                 | -                                 | -                             | -                                 | -                                 | -                           |                               | ends
a cancel under way          | first look           | waits                             | waits                             | waits                         | waits                             | waits                             | waits                       | waits                         | waits
a cancel under way          | late                 | waits                             | waits                             | waits                         | waits                             | waits                             | waits                       |                               |
a cancel failed             | first look           | review cancel_failed              | review cancel_failed              | waits +cancel                 | waits                             | waits                             | waits                       | voiding late_approval +cancel | ends
a cancel failed             | two looks, 3 s apart | -                                 | -                                 | review cancel_failed          |                                   |                                   |                             | -                             | ends
not authorised              | first look           | waits                             | waits                             | review not_ready              | waits                             | waits                             | waits                       | waits                         | ends
not authorised              | looks for 10 s       | rejected not_ready                | waits                             | -                             |                                   |                                   |                             |                               |
not authorised              | late                 | waits                             | review not_ready                  |                               | waits                             | waits                             | waits                       |                               |
not authorised              | late, looks for 10 s | rejected not_ready                | -                                 | -                             |                                   |                                   |                             |                               |
not there                   | first look           | waits                             | waits                             | review receipt_not_found      | waits                             | waits                             | waits                       | waits                         | ends
not there                   | looks for 10 s       | rejected receipt_not_found        | waits                             | -                             |                                   |                                   |                             |                               |
not there                   | late                 | waits                             | review receipt_not_found          |                               | waits                             | waits                             | waits                       |                               |
not there                   | late, looks for 10 s | rejected receipt_not_found        | -                                 | -                             |                                   |                                   |                             |                               |
waits for a deposit         | first look           | rejected awaiting_deposit         | review awaiting_deposit           | review awaiting_deposit       | waits                             | waits                             | waits                       | waits                         | ends
not a payment               | first look           | rejected not_ready                | review not_ready                  | review not_ready              | waits                             | waits                             | waits                       | ends                          | ends
another order's             | first look           | rejected order_mismatch           | review order_mismatch             | review order_mismatch         | waits                             | waits                             | waits                       | ends                          | ends
a number nobody documented  | first look           | review gateway_unclear            | review gateway_unclear            | review gateway_unclear        | waits                             | waits                             | waits                       | waits                         | ends
no word                     | first look           | waits                             | waits                             | waits                         | waits                             | waits                             | waits                       | waits                         | waits
no word                     | late                 | review gateway_unclear            | review gateway_unclear            | waits                         | waits                             | waits                             | waits                       | waits                         | waits
no word                     | a day later          |                                   |                                   | review gateway_unclear        | waits                             | waits                             | waits                       | waits                         | waits
"""  # noqa: E501 — a table


class Cell(NamedTuple):
    """One cell of the table, at one moment, in one version, brought about in one way."""

    api: str
    title: str
    moment: str
    column: str
    kind: Kind
    expected: str

    @property
    def name(self) -> str:
        return f"{self.api}, {self.title} ({self.kind.name}), {self.moment}, {self.column}: {self.expected}"


def _lines():
    head, *lines = [[cell.strip() for cell in line.split("|")] for line in EXPECTED.strip().splitlines()]
    return head[2:], [(line[0], line[1], line[2:]) for line in lines]


COLUMNS, LINES = _lines()


def _cells():
    """All cells. What is cheap to bring about is so in every way; elsewhere the ways take turns."""
    for api in ("v1", "v2"):
        for number, (title, moment, expected) in enumerate(LINES):
            kinds = KINDS[title].v1 if api == "v1" else KINDS[title].v2
            for turn, (column, cell) in enumerate(zip(COLUMNS, expected, strict=True)):
                if cell in ("-", "") or not kinds:
                    continue
                in_turn = [kinds[(number + turn) % len(kinds)]]
                for kind in kinds if (column, moment) == ("received", FIRST) else in_turn:
                    yield Cell(api, title, moment, column, kind, cell)


CELLS = list(_cells())

#: What ends a rejection for good, in the table's last column.
ENDS = {title for title, _, expected in LINES if expected[COLUMNS.index("rejected")] == "ends"}
