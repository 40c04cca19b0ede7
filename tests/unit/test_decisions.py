"""The decision table of the design, cell by cell, and the rules around it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from confirmation import waits
from confirmation.answers import Absent, Refused, Seen, Silence
from confirmation.decisions import MOST_SUBMITS, TABLE, Refusal, Verb, decide, decide_refused
from confirmation.order import Money
from confirmation.states import Reason, State
from tests.unit.cases import DEADLINE, NOW, RECENT, SECOND, look, looked_before, receipt, row

OTHER = Money(3001, "KRW")
COLUMNS = {
    "received": (State.RECEIVED, None),
    "submitting": (State.SUBMITTING, None),
    "voiding": (State.VOIDING, None),
    "review from received": (State.REVIEW, State.RECEIVED),
    "review from submitting": (State.REVIEW, State.SUBMITTING),
    "review from voiding": (State.REVIEW, State.VOIDING),
    "rejected": (State.REJECTED, None),
    "confirmed": (State.CONFIRMED, None),
}


def both(status, **changes):
    return [receipt(status, "v1", **changes), receipt(status, "v2", **changes)]


NOT_PAYMENTS_V2 = (12, 40, 41, 42, 50, 60, 61, -40, -60, -61)
#: Every answer that a row of the design's table speaks of.
ANSWERS = {
    "ready": both(2),
    "ready, other amount": both(2, amount=OTHER),
    "ready, other currency": both(2, amount=Money(3000, "USD")),
    "in flight, other amount": [receipt(3, "v1", amount=OTHER), receipt(4, amount=OTHER)],
    "paid": both(1),
    "paid, other amount": both(1, amount=OTHER),
    "paid, other currency": both(1, amount=Money(3000, "USD")),
    "partly cancelled": [*both(1, cancelled=1000), *both(20, cancelled=1000)],
    "in flight": [receipt(3, "v1"), receipt(4, "v2")],
    "failed": [receipt(status, "v1") for status in (-1, -2, -3)] + [receipt(status) for status in (-2, -3, -4)],
    "cancelled": [*both(20, cancelled=3000), *both(20), *both(1, cancelled=3000)],
    "a cancel under way": [receipt(-30, "v1")],
    "a cancel failed": [receipt(-20, "v1")],
    "not authorised": both(0),
    "not there": [Absent("no such receipt")],
    "waits for a deposit": [receipt(5), *both(2, virtual_account=True)],
    "not a payment": [*both(11), *both(-11), *(receipt(status) for status in NOT_PAYMENTS_V2)],
    "another order's": [*both(1, order_id="o2"), *both(2, order_id="o2"), *both(20, order_id="o2")],
    "undocumented": [*both(77), receipt(4, "v1"), receipt(5, "v1"), receipt(3, "v2"), receipt(-20), receipt(-30)],
    "no word": [Silence("timeout"), Silence("http 502", ended=True), Refused("-1")],
}

#: Written out from the design. A cell is a verb and, where the design or the contract names one, the reason;
#: "nothing taken" rejects with the reason that led to voiding.
EXPECTED = """
seen                     | moment            | received                   | submitting        | voiding                       | review from received       | review from submitting   | review from voiding  | rejected           | confirmed
ready                    | first look        | reserve                    | wait              | wait                          | wait                       | wait                     | wait                 | wait               | end
ready                    | two looks         | reserve                    | submit            | reject out_of_stock           | wait                       | wait                     | reject out_of_stock  | wait               | end
ready                    | late              | reject deadline_exceeded   | wait              | wait                          | wait                       | wait                     | wait                 | wait               | end
ready                    | late, two looks   | reject deadline_exceeded   | reject deadline_exceeded | reject out_of_stock    | reject deadline_exceeded   | reject deadline_exceeded | reject out_of_stock  | wait               | end
ready, other amount      | first look        | reject amount_mismatch     | review            | wait                          | wait                       | wait                     | wait                 | wait               | end
ready, other currency    | first look        | reject currency_mismatch   | review            | wait                          | wait                       | wait                     | wait                 | wait               | end
ready, other amount      | late, two looks   | reject amount_mismatch     | review            | wait                          | wait                       | wait                     | wait                 | wait               | end
in flight, other amount  | first look        | wait                       | review            | wait                          | wait                       | wait                     | wait                 | wait               | end
paid                     | first look        | reserve, it is paid        | commit            | cancel                        | reserve, it is paid        | commit                   | cancel               | void late_approval | end
paid                     | late, two looks   | reserve, it is paid        | commit            | cancel                        | reserve, it is paid        | commit                   | cancel               | void late_approval | end
paid                     | a day later       | reserve, it is paid        | commit            | review cancel_failed          | reserve, it is paid        | commit                   | cancel               | void late_approval | end
paid, other amount       | first look        | void amount_mismatch       | void amount_mismatch   | cancel                   | void amount_mismatch       | void amount_mismatch     | cancel               | void late_approval | end
paid, other currency     | first look        | void currency_mismatch     | void currency_mismatch | cancel                   | void currency_mismatch     | void currency_mismatch   | cancel               | void late_approval | end
partly cancelled         | first look        | review partly_cancelled    | review partly_cancelled | cancel                  | wait                       | wait                     | wait                 | void late_approval | drift
in flight                | first look        | wait                       | wait              | wait                          | wait                       | wait                     | wait                 | wait               | end
in flight                | late              | review gateway_unclear     | review gateway_unclear | wait                     | wait                       | wait                     | wait                 | wait               | end
failed                   | first look        | reject payment_failed      | reject declined   | reject out_of_stock           | reject payment_failed      | reject declined          | reject out_of_stock  | end                | end
cancelled                | first look        | reject already_cancelled   | reject already_cancelled | voided out_of_stock    | reject already_cancelled   | reject already_cancelled | voided out_of_stock  | end                | drift
a cancel under way       | first look        | wait                       | wait              | wait                          | wait                       | wait                     | wait                 | wait               | wait
a cancel under way       | late              | wait                       | wait              | wait                          | wait                       | wait                     | wait                 | wait               | wait
a cancel failed          | first look        | review cancel_failed       | review cancel_failed | cancel                     | wait                       | wait                     | wait                 | void late_approval | end
a cancel failed          | two looks         | review cancel_failed       | review cancel_failed | review cancel_failed       | wait                       | wait                     | wait                 | void late_approval | end
not authorised           | first look        | wait                       | wait              | review                        | wait                       | wait                     | wait                 | wait               | end
not authorised           | looks within 10 s | reject not_ready           | wait              | review                        | wait                       | wait                     | wait                 | wait               | end
not authorised           | late              | wait                       | review            | review                        | wait                       | wait                     | wait                 | wait               | end
not there                | first look        | wait                       | wait              | review                        | wait                       | wait                     | wait                 | wait               | end
not there                | looks within 10 s | reject receipt_not_found   | wait              | review                        | wait                       | wait                     | wait                 | wait               | end
not there                | late              | wait                       | review            | review                        | wait                       | wait                     | wait                 | wait               | end
waits for a deposit      | first look        | reject awaiting_deposit    | review            | review                        | wait                       | wait                     | wait                 | wait               | end
not a payment            | first look        | reject not_ready           | review            | review                        | wait                       | wait                     | wait                 | end                | end
another order's          | first look        | reject order_mismatch      | review            | review                        | wait                       | wait                     | wait                 | end                | end
undocumented             | first look        | review gateway_unclear     | review gateway_unclear | review gateway_unclear   | wait                       | wait                     | wait                 | wait               | end
no word                  | first look        | wait                       | wait              | wait                          | wait                       | wait                     | wait                 | wait               | wait
no word                  | late              | review gateway_unclear     | review gateway_unclear | wait                     | wait                       | wait                     | wait                 | wait               | wait
no word                  | a day later       | review gateway_unclear     | review gateway_unclear | review gateway_unclear   | wait                       | wait                     | wait                 | wait               | wait
"""  # noqa: E501 - a table


def cells():
    head, *lines = [[cell.strip() for cell in line.split("|")] for line in EXPECTED.strip().splitlines()]
    for seen, moment, *expected in lines:
        for column, cell in zip(head[2:], expected, strict=True):
            for number, answer in enumerate(ANSWERS[seen]):
                yield pytest.param(column, answer, moment, cell, id=f"{seen} {number}, {moment}, {column}: {cell}")


def at(moment, confirmation, answer):
    """The row as it is at this moment, with the earlier looks that belong to it."""
    since = {"a day later": timedelta(hours=24), "late": DEADLINE, "late, two looks": DEADLINE}.get(moment, RECENT)
    confirmation = replace(confirmation, created_at=NOW - since, state_since=NOW - since)
    earlier = {"two looks": 3 * SECOND, "late, two looks": 3 * SECOND, "looks within 10 s": 10 * SECOND}.get(moment)
    return looked_before(confirmation, answer, earlier) if earlier else confirmation


@pytest.mark.parametrize(("column", "answer", "moment", "expected"), list(cells()))
def test_each_cell_of_the_table_is_the_designs(column, answer, moment, expected):
    case = look(at(moment, row(*COLUMNS[column]), answer), answer)

    decision = decide(case)

    verb, reason = decision.verb.value, decision.reason
    names_a_reason = expected.rpartition(" ")[2] in {*Reason}
    assert (f"{verb} {reason}" if names_a_reason else verb) == expected


def test_every_cell_stands_in_the_expectations():
    seen = {look(row(State.RECEIVED), answer).seen for answers in ANSWERS.values() for answer in answers}

    assert seen == {*Seen} == {*TABLE}


@pytest.mark.parametrize(("column", "answer", "moment", "expected"), list(cells()))
def test_whatever_can_still_change_is_looked_at_again(column, answer, moment, expected):
    decision = decide(look(at(moment, row(*COLUMNS[column]), answer), answer))

    if decision.verb in (Verb.WAIT, Verb.REVIEW):
        assert decision.wait is not None, expected
        assert decision.wait >= timedelta(), expected


@pytest.mark.parametrize("answer", [*ANSWERS["cancelled"], *ANSWERS["partly cancelled"]])
def test_drift_is_told_once_however_often_it_is_seen(answer):
    seen_before = looked_before(row(State.CONFIRMED), answer, 3 * SECOND)

    assert decide(look(seen_before, answer)).verb is Verb.END


# Ready, in flight, no word: never the deadline alone ------------------------------------------------------------------


def test_the_deadline_is_still_ahead_a_moment_before_it():
    made = NOW - DEADLINE + timedelta(microseconds=1)

    assert decide(look(row(State.RECEIVED, created_at=made), receipt(2))).verb is Verb.RESERVE


# Submitting again -----------------------------------------------------------------------------------------------------


def submitted(**changes):
    return row(State.SUBMITTING, **changes)


def test_two_looks_less_than_three_seconds_apart_submit_nothing():
    before = looked_before(submitted(), receipt(2), 3 * SECOND - timedelta(microseconds=1))

    decision = decide(look(before, receipt(2)))

    assert (decision.verb, decision.wait) == (Verb.WAIT, timedelta(microseconds=1))


def test_looks_while_the_last_submit_may_be_at_work_do_not_count():
    until = NOW - 2 * SECOND
    before = looked_before(submitted(submitted_until=until), receipt(2), 5 * SECOND)

    case = look(before, receipt(2))

    assert case.confirmation.looks == 1
    assert case.until_settled == 3 * SECOND
    assert decide(case).verb is Verb.WAIT


@pytest.mark.parametrize(("left", "parks", "wait"), [(0.5, 0, 0.5), (17, 0, 1), (17, 2, 4), (17, 9, 8)])
def test_a_look_while_a_submit_may_be_at_work_waits_for_its_end_and_looks_on_meanwhile(left, parks, wait):
    case = look(submitted(submitted_until=NOW + left * SECOND, parks=parks), receipt(2))

    assert (decide(case).verb, decide(case).wait) == (Verb.WAIT, wait * SECOND)


def test_something_else_seen_between_the_two_looks_counts_them_anew():
    before = looked_before(submitted(), receipt(2), 60 * SECOND)
    between = look(before, receipt(4), now=NOW - 30 * SECOND).confirmation

    assert decide(look(between, receipt(2))).verb is Verb.WAIT


def test_no_word_between_the_two_looks_is_no_look():
    before = looked_before(submitted(), receipt(2), 60 * SECOND)
    between = look(before, Silence("timeout"), now=NOW - 30 * SECOND).confirmation

    assert decide(look(between, receipt(2))).verb is Verb.SUBMIT


@pytest.mark.parametrize(("submits", "verb"), [(1, Verb.SUBMIT), (2, Verb.SUBMIT), (3, Verb.REVIEW)])
def test_after_three_submits_people_are_asked(submits, verb):
    before = looked_before(submitted(submits=submits), receipt(2), 3 * SECOND)

    assert decide(look(before, receipt(2))).verb is verb
    assert MOST_SUBMITS == 3


@pytest.mark.parametrize(("answer", "reason"), [(receipt(2), Reason.DECLINED), (receipt(-2), Reason.DECLINED)])
def test_a_decline_ends_when_the_receipt_is_ready_or_failed(answer, reason):
    decision = decide(look(submitted(declined=True, message="no money"), answer))

    assert (decision.verb, decision.reason) == (Verb.REJECT, reason)


@pytest.mark.parametrize("answer", [receipt(1), receipt(4), Silence("timeout")])
def test_a_decline_ends_nothing_while_the_receipt_says_otherwise(answer):
    assert decide(look(submitted(declined=True), answer)).verb is not Verb.REJECT


def test_a_decline_in_review_ends_as_declined():
    late = NOW - DEADLINE
    before = row(State.REVIEW, State.SUBMITTING, declined=True, created_at=late)
    before = looked_before(before, receipt(2), 3 * SECOND)

    assert decide(look(before, receipt(2))).reason is Reason.DECLINED


# Receipts that may yet appear -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [Absent(), receipt(0)])
def test_a_receipt_that_is_not_there_is_given_a_few_looks_within_ten_seconds(answer):
    confirmation, now, looks = row(State.RECEIVED), NOW, 0
    while (decision := decide(case := look(confirmation, answer, now=now))).verb is Verb.WAIT:
        assert decision.wait > timedelta()
        confirmation = replace(case.confirmation, parks=case.confirmation.parks + 1)
        now += decision.wait
        looks += 1

    assert decision.verb is Verb.REJECT
    assert now - NOW == 10 * SECOND
    assert 3 <= looks <= 8


# Cancelling -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [receipt(1), receipt(1, amount=OTHER), receipt(1, cancelled=500)])
def test_a_cancel_is_tried_for_a_day(answer):
    almost = row(State.VOIDING, state_since=NOW - timedelta(hours=24) + SECOND)
    over = row(State.VOIDING, state_since=NOW - timedelta(hours=24))

    assert decide(look(almost, answer)).verb is Verb.CANCEL
    assert (decide(look(over, answer)).verb, decide(look(over, answer)).reason) == (Verb.REVIEW, Reason.CANCEL_FAILED)


def test_a_virtual_accounts_refund_is_for_people():
    answer = receipt(1, virtual_account=True)

    asked = decide(look(row(State.VOIDING), answer))
    in_review = decide(look(row(State.REVIEW, State.VOIDING), answer))

    assert (asked.verb, asked.reason) == (Verb.REVIEW, Reason.VIRTUAL_ACCOUNT_REFUND)
    assert in_review.verb is Verb.WAIT


# Late looks -----------------------------------------------------------------------------------------------------------


def test_a_rejection_is_looked_at_again_after_one_ten_and_sixty_minutes():
    first = decide(look(row(State.RECEIVED), receipt(2, amount=OTHER)))
    assert first.wait == timedelta(minutes=1)

    later = [decide(look(rejected_since(minutes), receipt(2))) for minutes in (1, 10, 60)]

    assert [decision.wait for decision in later] == [timedelta(minutes=9), timedelta(minutes=50), None]
    assert later[2].verb is Verb.END


def rejected_since(minutes, **changes):
    return row(State.REJECTED, state_since=NOW - timedelta(minutes=minutes), **changes)


def test_webhooks_take_no_late_look_away():
    """
    Anybody can send a webhook: three in a row must not end the looks that find a late approval.
    """
    before = rejected_since(0.5, parks=50)

    assert decide(look(before, receipt(2))).wait == timedelta(minutes=0.5)


@pytest.mark.parametrize("answer", [receipt(-2), receipt(20), receipt(11), receipt(2, order_id="o2")])
def test_a_rejection_by_an_end_is_never_looked_at_again(answer):
    decision = decide(look(row(State.RECEIVED), answer))

    assert (decision.verb, decision.wait) == (Verb.REJECT, None)


@pytest.mark.parametrize(("since", "minutes"), [(0.5, 1), (1, 1), (9, 1), (10, 10), (60, 60), (9000, 60)])
def test_a_late_look_without_a_word_is_made_again(since, minutes):
    decision = decide(look(rejected_since(since), Silence("timeout")))

    assert (decision.verb, decision.wait) == (Verb.WAIT, timedelta(minutes=minutes))


@pytest.mark.parametrize("parks", [0, 1, 2, 3, 50])
def test_a_late_look_that_finds_it_paid_voids_it_however_late(parks):
    made = NOW - timedelta(days=300)
    decision = decide(look(row(State.REJECTED, parks=parks, created_at=made), receipt(1)))

    assert (decision.verb, decision.reason) == (Verb.VOID, Reason.LATE_APPROVAL)


# Reservations that were refused ---------------------------------------------------------------------------------------

IMPOSSIBLE = (Refusal.OUT_OF_STOCK, Refusal.UNKNOWN_SKU, Refusal.REFUSED_BY_HOOK, Refusal.ORDER_PAID)


@pytest.mark.parametrize("refusal", IMPOSSIBLE)
@pytest.mark.parametrize(("status", "verb"), [(2, Verb.REJECT), (1, Verb.VOID)])
def test_what_cannot_be_delivered_is_rejected_before_any_money_moves_or_voided(refusal, status, verb):
    decision = decide_refused(look(row(State.RECEIVED), receipt(status)), refusal)

    assert (decision.verb, decision.reason) == (verb, Reason(refusal.value))


@pytest.mark.parametrize("refusal", IMPOSSIBLE)
def test_what_is_found_paid_in_review_and_cannot_be_delivered_is_voided(refusal):
    decision = decide_refused(look(row(State.REVIEW, State.RECEIVED), receipt(1)), refusal)

    assert (decision.verb, decision.reason) == (Verb.VOID, Reason(refusal.value))


@pytest.mark.parametrize("status", [1, 2])
def test_a_receipt_whose_order_is_undecided_waits(status):
    decision = decide_refused(look(row(State.RECEIVED), receipt(status)), Refusal.ORDER_UNDECIDED)

    assert decision.verb is Verb.WAIT


@pytest.mark.parametrize(
    ("status", "verb", "reason"),
    [(2, Verb.REJECT, Reason.DEADLINE_EXCEEDED), (1, Verb.REVIEW, Reason.ORDER_UNDECIDED)],
)
def test_past_its_deadline_it_waits_for_the_order_no_longer(status, verb, reason):
    case = look(row(State.RECEIVED, created_at=NOW - DEADLINE), receipt(status))

    decision = decide_refused(case, Refusal.ORDER_UNDECIDED)

    assert (decision.verb, decision.reason) == (verb, reason)


def test_in_review_it_waits_for_the_order_as_long_as_it_takes():
    case = look(row(State.REVIEW, State.RECEIVED, created_at=NOW - timedelta(days=2)), receipt(1))

    assert decide_refused(case, Refusal.ORDER_UNDECIDED).verb is Verb.WAIT


# Waits ----------------------------------------------------------------------------------------------------------------

PARKED = [
    (State.RECEIVED, Silence("timeout")),
    (State.RECEIVED, receipt(4)),
    (State.RECEIVED, receipt(4, amount=OTHER)),
    (State.RECEIVED, receipt(-30, "v1")),
    (State.SUBMITTING, Silence("timeout")),
    (State.SUBMITTING, receipt(4)),
    (State.SUBMITTING, receipt(0)),
    (State.SUBMITTING, receipt(2)),
]


@pytest.mark.parametrize(("state", "answer"), PARKED)
@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize("parks", [0, 3, 9, 500])
def test_before_the_deadline_no_wait_is_longer_than_ten_seconds(state, answer, jitter, parks):
    wait = decide(look(row(state, parks=parks), answer, jitter=jitter)).wait

    assert timedelta() < wait <= 10 * SECOND


@pytest.mark.parametrize(("state", "answer"), PARKED)
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_no_wait_goes_past_the_deadline_but_for_the_moment_that_proves_it_past(state, answer, jitter):
    left = timedelta(seconds=0.5)
    until = NOW + 18 * SECOND if state is State.SUBMITTING else None
    case = look(row(state, parks=9, submitted_until=until, created_at=NOW - DEADLINE + left), answer, jitter=jitter)

    assert left < decide(case).wait < left + timedelta(seconds=0.1)


def test_waits_grow_and_stop_growing_at_ten_minutes():
    grown = [waits.backoff(parks, 0.5) for parks in range(14)]

    assert grown == sorted(grown)
    assert grown[:4] == [1 * SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert grown[-1] == timedelta(minutes=8)
    assert waits.backoff(500, 1.0) == timedelta(minutes=10)


def test_waits_are_spread():
    assert waits.backoff(3, 0.0) < waits.backoff(3, 0.5) < waits.backoff(3, 1.0)


# What was seen --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "reason"),
    [(OTHER, "amount_mismatch"), (Money(3000, "USD"), "currency_mismatch"), (None, "currency_mismatch")],
)
def test_a_mismatch_says_which_one_it_is(amount, reason):
    assert decide(look(row(State.RECEIVED), receipt(2, amount=amount))).reason == reason


def test_another_orders_receipt_is_another_orders_whatever_its_amount():
    assert look(row(State.RECEIVED), receipt(1, order_id="o2", amount=OTHER)).seen is Seen.OTHER_ORDER


def test_a_look_keeps_what_the_gateway_says_of_the_payment():
    case = look(row(State.RECEIVED), receipt(1, method="card", receipt_url="https://receipt.example/1"))

    assert case.confirmation.payment == {
        "method": "card",
        "purchased_at": None,
        "receipt_url": "https://receipt.example/1",
    }


def test_no_word_keeps_what_the_gateway_said_before():
    before = looked_before(row(State.SUBMITTING), receipt(4, method="card"), 60 * SECOND)

    assert look(before, Silence("timeout")).confirmation.payment == before.payment
