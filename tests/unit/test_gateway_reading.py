"""What an HTTP answer of either version becomes, and what it never does."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confirmation.answers import Absent, Cancelled, GatewayReceipt, Refused, Silence
from confirmation.order import Money
from worker.gateway import Account, BootpayGateway, fields
from worker.gateway.exchange import Reply, parse
from worker.gateway.fields import OddAnswer
from worker.gateway.reading import Asked, Kind, read
from worker.gateway.tokens import Token
from worker.gateway.v1 import V1
from worker.gateway.v2 import V2

RECEIPT_V1 = {
    "receipt_id": "r-1",
    "order_id": "주문-1",
    "price": 3000,
    "remain_price": 3000,
    "cancelled_price": 0,
    "unit": "krw",
    "method": "card",
    "purchased_at": "2019-12-16 11:05:50",
    "receipt_url": "https://app.bootpay.co.kr/bill/r-1",
    "status": 1,
}
RECEIPT_V2 = {
    "receipt_id": "r-1",
    "order_id": "주문-1",
    "price": 3000,
    "cancelled_price": 0,
    "currency": "KRW",
    "method": "카드",
    "method_symbol": "card",
    "method_origin_symbol": "card",
    "purchased_at": "2019-12-16T11:05:50+09:00",
    "receipt_url": "https://app.bootpay.co.kr/bill/r-1",
    "status": 1,
}
RECEIPT = GatewayReceipt(
    "v1",
    1,
    "주문-1",
    Money(3000, "KRW"),
    method="card",
    purchased_at="2019-12-16T11:05:50+09:00",
    receipt_url="https://app.bootpay.co.kr/bill/r-1",
)
UNKNOWN = "not the answer we know"
READS = pytest.mark.parametrize("kind", [Kind.LOOK_UP, Kind.SUBMIT])
MOVES = pytest.mark.parametrize("kind", [Kind.SUBMIT, Kind.CANCEL])
VERSIONS = pytest.mark.parametrize("api", ["v1", "v2"])


def answer(api, kind, http, document):
    dialect = {"v1": V1, "v2": V2}[api]()
    return read(dialect.hear(Reply(http, document)), Asked(kind, "r-1"), dialect)


def no(api, http, code, message="아니요"):
    """A refusal as each version words it."""
    if api == "v1":
        return {"status": http, "code": code, "message": message, "data": {}}
    return {"error_code": code, "message": message}


def yes(api, kind=Kind.LOOK_UP, **change):
    """What a receipt with this change is read as."""
    base = RECEIPT_V1 if api == "v1" else RECEIPT_V2
    data = {name: value for name, value in (base | change).items() if value is not ...}
    envelope = {"status": 200, "code": 0, "message": "", "data": data}
    return answer(api, kind, 200, envelope if api == "v1" else data)


# A yes ----------------------------------------------------------------------------------------------------------------


@READS
@VERSIONS
def test_a_receipt_is_read(api, kind):
    assert yes(api, kind) == replace(RECEIPT, api=api)


def test_v1s_answer_to_a_submit_needs_no_unit_and_no_sums():
    assert yes("v1", Kind.SUBMIT, unit=..., remain_price=..., cancelled_price=...) == RECEIPT


def test_without_a_unit_it_is_won_so_a_payment_in_dollars_is_not_believed():
    assert yes("v1", Kind.SUBMIT, unit=..., price=Decimal("10.50")).amount is None
    assert yes("v1", Kind.SUBMIT, unit=..., price=10).amount == Money(10, "KRW")


@VERSIONS
@pytest.mark.parametrize(
    ("price", "unit", "amount"),
    [
        (3000, "KRW", Money(3000, "KRW")),
        (Decimal("3000.0"), "KRW", Money(3000, "KRW")),
        (Decimal("3000.5"), "KRW", None),
        (Decimal("10.50"), "USD", Money(1050, "USD")),
        (Decimal("10.505"), "USD", None),
        (10, "usd", Money(1000, "USD")),
        (3000, "JPY", None),
    ],
)
def test_an_amount_is_exact_or_unknown(api, price, unit, amount):
    assert yes(api, price=price, **{"unit" if api == "v1" else "currency": unit}).amount == amount


@VERSIONS
@pytest.mark.parametrize(
    "change",
    [
        {"status": True},
        {"status": "1"},
        {"status": Decimal("1.0")},
        {"status": ...},
        {"price": "3000"},
        {"price": True},
        {"price": None},
        {"price": ...},
        {"price": Decimal("1E+999999")},
        {"price": 10**30},
        {"price": Decimal("3000.0000000000000000000000000001")},
        {"cancelled_price": "0"},
        {"cancelled_price": -1},
        {"order_id": 5},
        {"order_id": ...},
    ],
    ids=repr,
)
def test_a_receipt_with_a_field_of_another_type_is_not_believed(api, change):
    (name,) = change
    assert yes(api, **change) == Silence(f"{UNKNOWN}: {name}", ended=True)


@VERSIONS
@pytest.mark.parametrize("receipt_id", ["r-2", "R-1"])
def test_an_answer_about_another_receipt_is_not_believed(api, receipt_id):
    assert yes(api, receipt_id=receipt_id) == Silence("an answer about another receipt", ended=True)


@VERSIONS
@pytest.mark.parametrize(("sum_", "cancelled"), [(None, 0), (..., 0), (1000, 1000), (Decimal("0.5"), 1)])
def test_what_was_cancelled_is_never_taken_for_nothing(api, sum_, cancelled):
    assert yes(api, cancelled_price=sum_).cancelled == cancelled


@pytest.mark.parametrize(
    ("api", "change"),
    [
        ("v1", {"method": "vbank"}),
        ("v2", {"method_symbol": "vbank"}),
        ("v2", {"method_origin_symbol": "vbank"}),
        ("v2", {"vbank_data": {"tid": "1"}}),
    ],
)
def test_a_virtual_account_is_known(api, change):
    assert yes(api, status=2, **change).virtual_account


@VERSIONS
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"purchased_at": "yesterday"}, "purchased_at"),
        ({"purchased_at": None}, "purchased_at"),
        ({"purchased_at": 5}, "purchased_at"),
        ({"receipt_url": "javascript:alert(1)"}, "receipt_url"),
        ({"receipt_url": None}, "receipt_url"),
    ],
)
def test_what_is_only_shown_may_be_absent_or_odd(api, change, field):
    assert getattr(yes(api, **change), field) is None


def test_times_keep_the_zone_that_the_gateway_says():
    assert yes("v2", purchased_at="2019-12-16T02:05:50+00:00").purchased_at == "2019-12-16T02:05:50+00:00"


@VERSIONS
def test_texts_come_without_what_a_database_cannot_keep(api):
    method = "method" if api == "v1" else "method_symbol"
    assert yes(api, **{method: "ca\x00rd\ud800"}).method == "ca rd"
    message = answer(api, Kind.LOOK_UP, 404, no(api, 404, {"v1": -1, "v2": "RC_NOT_FOUND"}[api], "x" * 9000)).message
    assert message == "x" * 500


# A no -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "http", "document"),
    [
        ("v1", 404, no("v1", 404, -12000)),
        ("v1", 200, no("v1", 404, -12000)),
        ("v2", 404, no("v2", 404, "RC_NOT_FOUND")),
        ("v2", 400, no("v2", 400, "RC_NOT_FOUND")),
        ("v2", 200, no("v2", 200, "RC_NOT_FOUND")),
    ],
)
def test_a_receipt_that_the_gateway_does_not_have_is_absent(api, http, document):
    assert answer(api, Kind.LOOK_UP, http, document) == Absent("아니요")


@pytest.mark.parametrize("document", [None, {}, [], {"status": 404, "error": "Not Found"}])
@VERSIONS
def test_a_404_of_somebody_else_is_no_word_about_a_receipt(api, document):
    """A wrong address, or a page of a proxy's, must not reject receipts."""
    assert answer(api, Kind.LOOK_UP, 404, document) == Silence("404", ended=True)


@pytest.mark.parametrize(
    ("api", "http", "document", "refused"),
    [
        ("v1", 500, no("v1", 500, -15002), Refused("-15002", "아니요")),
        ("v1", 200, no("v1", 500, -15002), Refused("-15002", "아니요")),
        ("v1", 400, no("v1", 400, -15001), Refused("-15001", "아니요")),
        ("v2", 400, no("v2", 400, "RC_CONFIRM_FAILED"), Refused("RC_CONFIRM_FAILED", "아니요", explicit=True)),
        ("v2", 200, no("v2", 200, "RC_CONFIRM_FAILED"), Refused("RC_CONFIRM_FAILED", "아니요", explicit=True)),
        ("v2", 400, no("v2", 400, "RC_NOT_CONFIRM_READY"), Refused("RC_NOT_CONFIRM_READY", "아니요")),
        ("v2", 404, no("v2", 404, "RC_NOT_FOUND"), Refused("RC_NOT_FOUND", "아니요")),
    ],
)
def test_a_submit_is_refused_with_the_gateways_code_and_words(api, http, document, refused):
    assert answer(api, Kind.SUBMIT, http, document) == refused


def test_only_a_submit_can_be_declined():
    assert not answer("v2", Kind.CANCEL, 400, no("v2", 400, "RC_CONFIRM_FAILED")).explicit


@MOVES
@pytest.mark.parametrize(
    ("api", "http", "code"),
    [
        ("v2", 500, "RC_CONFIRM_CRITICAL_FAILED"),
        ("v2", 500, "RC_CANCEL_CRITICAL_ERROR"),
        ("v2", 400, "RC_CONFIRM_CRITICAL_FAILED"),
        ("v2", 400, "RC_CANCEL_CRITICAL_ERROR"),
        ("v2", 500, "INTERNAL_SERVER_ERROR"),
        ("v2", 429, "TOO_MANY_REQUESTS"),
        ("v1", 429, -10429),
        ("v1", 401, -2401),
        ("v1", 502, -1),
        ("v1", 503, -1),
    ],
)
def test_what_may_or_may_not_have_happened_is_no_refusal(api, kind, http, code):
    """Two equal refusals count as a decline, so a gateway that is only busy must not sound like one."""
    assert answer(api, kind, http, no(api, http, code)) == Silence(f"{http} {code}", ended=True)


@VERSIONS
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("http", [200, 201, 204, 302, 400, 404, 429, 500, 502])
@pytest.mark.parametrize("document", [None, [], "paid", 1, {"status": True, "code": 0, "data": RECEIPT_V1}])
def test_what_nobody_documented_is_silence(api, kind, http, document):
    said = answer(api, kind, http, document)

    assert isinstance(said, Silence)
    assert said.ended


@pytest.mark.parametrize(
    "envelope",
    [
        {"code": -1},
        {"code": False},
        {"code": None},
        {"status": 201},
        {"data": None},
        {"data": [RECEIPT_V1]},
    ],
)
def test_an_envelope_that_contradicts_itself_is_no_yes(envelope):
    whole = {"status": 200, "code": 0, "message": "", "data": RECEIPT_V1} | envelope
    assert isinstance(answer("v1", Kind.SUBMIT, 200, whole), Silence)


@pytest.mark.parametrize("envelope", [{"status": "500"}, {"status": None}, {"code": 0}, {"code": 5}, {"code": "-1"}])
def test_an_envelope_that_contradicts_itself_is_no_refusal(envelope):
    whole = {"status": 500, "code": -1, "message": "", "data": {}} | envelope
    assert answer("v1", Kind.SUBMIT, 500, whole) == Silence("500", ended=True)


def test_a_proxy_that_gave_up_does_not_know_that_the_call_has_ended():
    assert answer("v2", Kind.SUBMIT, 504, None) == Silence("504", ended=False)


@VERSIONS
def test_how_long_to_wait_is_passed_on(api):
    dialect = {"v1": V1, "v2": V2}[api]()
    said = dialect.hear(Reply(429, no(api, 429, -1), retry_after_seconds=7.0))
    assert read(said, Asked(Kind.LOOK_UP, "r-1"), dialect).retry_after_seconds == 7.0


# A cancel -------------------------------------------------------------------------------------------------------------


def cancel_v1(**change):
    data = {"receipt_id": "r-1", "remain_price": 0, "cancelled_price": 3000} | change
    return answer("v1", Kind.CANCEL, 200, {"status": 200, "code": 0, "message": "", "data": data})


def test_a_cancel_is_believed_when_nothing_remains():
    assert cancel_v1() == Cancelled()
    assert yes("v2", Kind.CANCEL, status=20) == Cancelled()
    assert yes("v2", Kind.CANCEL, status=20, cancelled_price=3000) == Cancelled()
    assert yes("v2", Kind.CANCEL, status=1, cancelled_price=3000) == Cancelled()


@pytest.mark.parametrize("remains", [1, None, False, "0"])
def test_v1s_cancel_of_less_than_everything_is_looked_up(remains):
    assert cancel_v1(remain_price=remains) == Silence(f"{UNKNOWN}: remain_price", ended=True)


@pytest.mark.parametrize(("status", "sum_"), [(1, 0), (1, 2999), (20, 2999)])
def test_v2s_cancel_of_less_than_everything_is_the_receipt(status, sum_):
    receipt = yes("v2", Kind.CANCEL, status=status, cancelled_price=sum_)
    assert (receipt.status, receipt.cancelled) == (status, sum_)


@pytest.mark.parametrize(
    ("api", "code", "message"),
    [("v1", -16001, "기취소된 건입니다"), ("v2", "RC_ALREADY_CANCELLED", "이미 취소된 결제입니다.")],
)
def test_already_cancelled_is_an_end_of_a_cancel_and_of_nothing_else(api, code, message):
    http = 500 if api == "v1" else 400
    assert answer(api, Kind.CANCEL, http, no(api, http, code, message)) == Cancelled(message, already=True)
    assert answer(api, Kind.SUBMIT, http, no(api, http, code, message)) == Refused(str(code), message)


@pytest.mark.parametrize(("api", "http", "code"), [("v1", 500, -16007), ("v2", 400, "RC_CANCEL_SERVER_ERROR")])
def test_a_refused_cancel_is_refused(api, http, code):
    assert answer(api, Kind.CANCEL, http, no(api, http, code)) == Refused(str(code), "아니요")


@VERSIONS
def test_a_cancel_names_no_sum(api):
    fields = {"v1": V1, "v2": V2}[api]().cancel_fields("r-1", "c-1")
    assert (fields["receipt_id"], fields["cancel_id"]) == ("r-1", "c-1")
    assert not [name for name in fields if "price" in name or "tax" in name]


# JSON -----------------------------------------------------------------------------------------------------------------


def test_numbers_are_never_floats():
    assert parse(b"[0.1, 1e2, 3]") == [Decimal("0.1"), Decimal(100), 3]
    assert isinstance(parse(b"[0.1]")[0], Decimal)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"status": 1, "status": 2}', b"NaN", b"[Infinity]", b"\xff", b"[" * 100_000, b"1" * 10_000],
)
def test_what_is_not_strict_json_is_nothing(body):
    assert parse(body) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
NAMES = sorted({*RECEIPT_V1, *RECEIPT_V2, "code", "data", "error_code", "message"})


@given(
    api=st.sampled_from(["v1", "v2"]),
    kind=st.sampled_from(Kind),
    http=st.sampled_from([200, 400, 401, 404, 500]),
    change=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3),
    outer=st.dictionaries(st.sampled_from(["status", "code", "data", "message"]), JSON, max_size=1),
)
def test_no_answer_raises(api, kind, http, change, outer):
    inner = (RECEIPT_V1 if api == "v1" else RECEIPT_V2) | {"remain_price": 0} | change
    document = {"status": http, "code": 0, "message": "", "data": inner} | outer if api == "v1" else inner

    said = answer(api, kind, http, document)

    assert isinstance(said, GatewayReceipt | Absent | Refused | Cancelled | Silence)
    kept = "".join(getattr(said, name, "") for name in ("message", "method", "code", "why"))
    assert "\x00" not in kept
    kept.encode()  # raises for what a database can't keep


# Ids and keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receipt_id", ["", "a/b", "../x", "a?b", "a b", "a\n", "é", "\uff41", "\u0663", "a" * 65])
@pytest.mark.parametrize("call", ["look_up", "submit", "cancel"])
def test_an_id_that_cannot_be_one_never_becomes_part_of_a_path(receipt_id, call):
    gateway = BootpayGateway(Account("v2", "http://127.0.0.1:1", client_key="c", secret_key="s"))
    arguments = (receipt_id, "c-1") if call == "cancel" else (receipt_id,)

    with pytest.raises(ValueError, match="a receipt_id is"):
        getattr(gateway, call)(*arguments, start_by=0)


def test_keys_and_tokens_are_not_shown():
    account = Account("v2", "http://gateway", "app-id", "private", "client", "secret")
    shown = repr(account) + repr(Token.of("token-1", 1800, asked_at=0))

    assert not [word for word in ("app-id", "private", "client", "secret", "token-1") if f"'{word}'" in shown]


def test_the_basic_scheme_wins_when_set_and_only_in_v2():
    keys = {"application_id": "a", "private_key": "p"}
    assert Account("v2", "", **keys, client_key="c", secret_key="s").basic
    assert not Account("v2", "", **keys).basic
    assert not Account("v1", "", **keys, client_key="c", secret_key="s").basic


@pytest.mark.parametrize("number", ["1e9999999", "1e9999999999999999999", "-1e9999999"])
def test_a_number_beyond_all_numbers_is_no_word_and_raises_nothing(number):
    body = ('{"receipt_id": "r", "order_id": "o", "status": 1, "price": ' + number + "}").encode()

    read_body = parse(body)

    if read_body is not None:
        with pytest.raises(OddAnswer):
            fields.number(read_body, "price")
