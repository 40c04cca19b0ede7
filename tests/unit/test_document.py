"""The order document: every good one is taken as it is, every bad one refused with all that is wrong."""

import json
import re
import subprocess
import sys
import time
from collections import UserDict
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from confirmation.states import Reason as RulesReason
from confirmation.states import State as RulesState
from payconfirm import InvalidOrder, OrderDocument, read_document
from payconfirm.document import minor_units
from payconfirm.schema import SCHEMAS, as_text, order_schema, result_schema
from tests.bad_documents import BAD, BEYOND_SCHEMA, nested
from tests.documents import GOOD

ROOT = Path(__file__).parents[2]


def refusal(document):
    with pytest.raises(InvalidOrder) as refused:
        read_document(document)
    return refused.value


# What is taken


plain_text = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029")
json_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
)
metadata_keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10)
small_json = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(metadata_keys, inner, max_size=3),
    max_leaves=8,
)
won = st.fixed_dictionaries({"amount": st.integers(1, 10**12)}, optional={"currency": st.just("KRW")})
dollars = st.builds(
    lambda cents: {"currency": "USD", "amount": f"{cents // 100}.{cents % 100:02}"}, st.integers(1, 10**14)
)
documents = st.builds(
    lambda fields, money: fields | money,
    st.fixed_dictionaries(
        {
            "receipt_id": st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
            "order_id": st.text(plain_text, min_size=1, max_size=64),
        },
        optional={
            "items": st.lists(
                st.fixed_dictionaries(
                    {"sku": st.text(plain_text, min_size=1, max_size=128), "quantity": st.integers(1, 1_000_000)}
                ),
                max_size=4,
            ),
            "callback_url": st.none()
            | st.from_regex(
                r"https?://[a-z0-9]{1,20}(\.[a-z]{2,5})?(:[1-9][0-9]{0,3})?(/[a-z가-힣]*)?", fullmatch=True
            ),
            "metadata": st.dictionaries(metadata_keys, small_json, max_size=3),
        },
    ),
    won | dollars,
)
DEFAULTS = {"currency": "KRW", "items": [], "callback_url": None, "metadata": {}}


@given(documents)
def test_every_good_document_is_taken_and_stays_what_it_was(document):
    taken = read_document(document).as_dict()

    assert taken == DEFAULTS | document
    assert read_document(json.dumps(document)).as_dict() == taken
    assert read_document(json.dumps(taken, ensure_ascii=False).encode()).as_dict() == taken
    jsonschema.validate(document, order_schema())
    jsonschema.validate(taken, order_schema())


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 1},
        {"amount": 10**12},
        {"currency": "USD", "amount": "0.01"},
        {"currency": "USD", "amount": "1000000000000.00"},
        {"order_id": "주문 1001"},
        {"order_id": "🙂" * 64},
        {"items": [{"sku": "a", "quantity": 1_000_000}] * 100},
        {"items": [{"sku": "가" * 128, "quantity": 1}]},
        {"callback_url": None},
        {"callback_url": "HTTPS://shop.example:8443/주문?x=@#"[:-1]},
        {"callback_url": "http://[::1]:8000/hook"},
        {"callback_url": "https://shop.example/" + "a" * (2048 - 21)},
        {"callback_url": "https://shop.example/" + "훅" * (2048 - 21)},
        {"metadata": {"a": "x" * (4096 - 9)}},
        {"metadata": {"가": "나\n\t\x7f"}},
        {"metadata": nested(100)},
        {"metadata": {"big": 10**300, "small": 1e-300}},
    ],
    ids=lambda change: str(change)[:50],
)
def test_what_just_fits_is_taken(change):
    assert read_document(GOOD | change).as_dict() == GOOD | change


def test_every_kind_of_mapping_and_text_is_read():
    expected = read_document(GOOD)

    assert read_document(UserDict(GOOD)) == expected
    assert read_document(json.dumps(GOOD)) == expected
    assert read_document(json.dumps(GOOD).encode()) == expected
    assert read_document(bytearray(json.dumps(GOOD).encode())) == expected
    assert read_document(expected) is expected


def test_a_document_does_not_change_with_what_it_was_read_from_or_what_it_gave():
    source = GOOD | {"metadata": {"cart": ["c-77"]}, "items": [{"sku": "a", "quantity": 1}]}
    document = read_document(source)

    source["metadata"]["cart"].append("another")
    source["items"].append({"sku": "b", "quantity": 1})
    given_away = document.as_dict()
    given_away["metadata"]["cart"].append("another")
    given_away["items"][0]["sku"] = "b"

    assert document.metadata == {"cart": ["c-77"]}
    assert document.summed_items() == {"a": 1}
    with pytest.raises(ValueError, match="frozen"):
        document.amount = 1


def test_lines_of_one_sku_are_added_up():
    line = {"sku": "a", "quantity": 1_000_000}

    assert read_document(GOOD | {"items": [line] * 99 + [{"sku": "b", "quantity": 1}]}).summed_items() == {
        "a": 99_000_000,
        "b": 1,
    }


def test_minor_units_are_won_and_cents():
    assert minor_units(3000, "KRW") == 3000
    assert minor_units("10.50", "USD") == 1050
    assert minor_units("0.01", "USD") == 1
    with pytest.raises(ValueError, match="USD takes a string with two decimals"):
        minor_units(10.5, "USD")


# What is refused


def named(value):
    """Name a case, however large its numbers."""
    return re.sub(r"\W+", "-", str(value)[:40]) if isinstance(value, str) else next(iter(map(str, value)))[:40]


@pytest.mark.parametrize(("change", "field", "message"), BAD + BEYOND_SCHEMA, ids=named)
def test_a_bad_field_is_refused_by_name_with_what_would_be_right(change, field, message):
    refused = refusal(GOOD | change)

    assert [error["field"] for error in refused.errors] == [field]
    assert message in refused.errors[0]["message"]
    assert str(refused) == f"{field}: {refused.errors[0]['message']}"


def test_all_that_is_wrong_is_said_at_once():
    """
    A wrong currency must not hide a wrong amount, nor one line of the order another.
    """
    bad = {
        "receipt_id": "a/b",
        "amount": 3000.0,
        "currency": "won",
        "items": [{"sku": "", "quantity": True}, {"sku": "a", "quantity": 1}, "tee"],
        "callback_url": "ftp://shop.example",
        "metadata": [],
        "color": "red",
        "size": "m",
    }

    refused = refusal(bad)

    fields = [
        "receipt_id",
        "order_id",
        "currency",
        "amount",
        "items.0.sku",
        "items.0.quantity",
        "items.2",
        "callback_url",
        "metadata",
        "color",
        "size",
    ]
    assert [error["field"] for error in refused.errors] == fields
    assert all(f"{field}: " in str(refused) for field in fields)


@pytest.mark.parametrize("value", [None, 5, 3.0, True, [], [GOOD], object()])
def test_what_is_no_object_is_refused(value):
    assert refusal(value).errors[0]["field"] == "document"


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("", "document", "is not JSON"),
        ("{", "document", "is not JSON"),
        ("[]", "document", "takes a JSON object, not a list"),
        ("\ufeff{}", "document", "is not JSON"),
        (b"\xff\xfe", "document", "is not UTF-8"),
        ("[" * 60_000, "document", "is nested too deeply"),
        ('{"a":' * 10_000, "document", "is nested too deeply"),
        ('{"receipt_id":"a","receipt_id":"b","order_id":"o","amount":1}', "receipt_id", "stands there twice"),
        ('{"receipt_id":"a","order_id":"o","amount":1,"metadata":{"k":1,"k":1}}', "k", "stands there twice"),
        ('{"receipt_id":"a","order_id":"o","amount":1e3}', "amount", "not 1000.0"),
        ('{"receipt_id":"a","order_id":"o","amount":1e999}', "amount", "not a number beyond all limits"),
        ('{"receipt_id":"a","order_id":"o","amount":NaN}', "amount", "not a number beyond all limits"),
        ('{"receipt_id":"a","order_id":"o","amount":%s}' % ("9" * 60_000), "amount", "a number beyond all limits"),
        ('{"receipt_id":"a","order_id":"\\ud800","amount":1}', "order_id", "takes a string"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_bad_json_text_is_refused_and_never_crashes(text, field, message):
    refused = refusal(text)

    assert [error["field"] for error in refused.errors] == [field]
    assert message in refused.errors[0]["message"]


def test_metadata_that_holds_itself_ends_in_a_refusal_at_once():
    circle = {}
    circle["a"] = circle["b"] = circle

    assert [error["field"] for error in refusal(GOOD | {"metadata": circle}).errors] == ["metadata"]


def test_metadata_that_unfolds_without_end_is_given_up_early():
    """
    Twenty lists that hold each other twice are a million once written out.
    """
    bomb = []
    for _ in range(20):
        bomb = [bomb, bomb]

    assert str(refusal(GOOD | {"metadata": {"a": bomb}})) == "metadata: takes at most 4096 bytes as JSON"


def test_an_error_repeats_little_of_what_was_sent_and_no_secret():
    refused = refusal(
        GOOD
        | {
            "order_id": "x" * 10_000,
            "callback_url": "https://admin:hunter2@shop.example/",
            "metadata": {"card": "4111" * 2000},
            "amount": "y" * 10_000,
        }
    )

    too_long = refusal(GOOD | {"callback_url": "https://admin:hunter2@shop.example/" + "a" * 2048})
    assert "hunter2" not in str(refused) + str(too_long)
    assert "4111" not in str(refused)
    for error in refused.errors:
        assert "x" * 80 not in error["message"]
        assert "y" * 80 not in error["message"]


def test_a_document_is_checked_in_well_under_a_millisecond():
    read_document(GOOD)
    best = min(_seconds_for(100) for _ in range(5)) / 100

    assert best < 0.0005, "measured when written: 15 µs"


def _seconds_for(times):
    started = time.perf_counter()
    for _ in range(times):
        read_document(GOOD)
    return time.perf_counter() - started


def test_an_invalid_order_survives_being_pickled_and_named_by_celery():
    """
    Celery stores an exception's arguments: they must be the text alone.
    """
    refused = refusal(GOOD | {"amount": 0})

    assert refused.args == (str(refused),)


def test_importing_the_document_loads_neither_celery_nor_redis():
    code = "import payconfirm, sys; print([m for m in ('celery', 'kombu', 'redis', 'requests') if m in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "[]"


# The schema


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_in_docs_is_the_one_that_the_code_gives(name):
    """
    When this fails, run `python -m payconfirm.schema` and look at what changed: others build on it.
    """
    assert (ROOT / "docs" / "schemas" / name).read_text(encoding="utf-8") == as_text(SCHEMAS[name]())


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name]())


@pytest.mark.parametrize("change", [change for change, _, _ in BAD], ids=named)
def test_the_schema_refuses_what_the_reader_refuses(change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(GOOD | change, order_schema())


def test_the_result_schema_knows_the_states_and_reasons_of_the_rules():
    properties = result_schema()["properties"]

    assert set(properties["state"]["enum"]) == {str(state) for state in RulesState}
    assert set(properties["reason"]["anyOf"][0]["enum"]) == {str(reason) for reason in RulesReason}


def test_the_result_schema_takes_the_example_of_the_contract():
    result = {
        "receipt_id": "5afd6be8e13f33616f2876ac",
        "order_id": "order-1001",
        "state": "confirmed",
        "final": True,
        "reason": None,
        "message": "",
        "amount": 3000,
        "currency": "KRW",
        "payment": {"method": "card", "purchased_at": "2026-11-23T10:00:01+09:00", "receipt_url": "https://a/"},
        "attempts": 1,
        "sequence": 1,
        "updated_at": "2026-11-23T01:00:01.234567Z",
        "metadata": {"cart": "c-77"},
    }

    jsonschema.validate(result, result_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(result | {"state": "paid"}, result_schema())


def test_order_document_is_what_read_document_gives():
    assert isinstance(read_document(GOOD), OrderDocument)


@pytest.mark.parametrize("text", ['{"a":1,' + '"x":1,' * 5_000 + '"b":2}', '{"a":"' + "x" * 70_000 + '"}'])
def test_a_text_that_repeats_a_name_thousands_of_times_or_is_far_too_large_is_refused_at_once(text):
    """
    Counting each name anew took half a minute for half a megabyte, and with it the process's only core.
    """
    began = time.process_time()

    with pytest.raises(InvalidOrder):
        read_document(text)

    assert time.process_time() - began < 1
