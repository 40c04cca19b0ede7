"""The HTTP door as a real process, on real servers: what it takes in, what it refuses, and what is true afterwards."""

import json
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from pydantic import TypeAdapter

from payconfirm import ResultDocument, read_document
from tests.integration.web_process import (
    KEY,
    OPERATOR,
    OTHER_KEY,
    PATIENCE_SECONDS,
    assert_problem,
    order,
    shared_door,
    until,
)

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def web(servers, template_database, tmp_path_factory):
    with shared_door(servers, template_database, tmp_path_factory.mktemp("web")) as web:
        yield web


def test_an_accepted_document_has_a_row_and_a_message(web):
    document = order(items=[{"sku": "tee", "quantity": 2}], metadata={"cart": "c-77"})

    answer = web.post(document)

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/confirmations/{document['receipt_id']}"
    told = answer.json()
    assert (told["state"], told["final"], told["metadata"]) == ("received", False, {"cart": "c-77"})
    assert web.rows.ask("SELECT state FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"])
    with web.redis as broker:
        until(lambda: any(document["receipt_id"].encode() in message for message in broker.lrange("payconfirm", 0, -1)))
    assert web.get(answer.headers["location"]).json() == told


def test_the_same_document_again_is_the_same_job(web):
    document = order()
    first = web.post(document)

    again = web.post(document | {"currency": "KRW", "items": []})

    assert (again.status_code, again.json()) == (202, first.json())
    assert web.rows.ask(
        "SELECT count(*) FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"]
    ) == [(1,)]


def test_the_same_document_after_its_end_gives_the_result_and_has_it_stored_again(web):
    document = order()
    web.post(document)
    announced = web.rows.end(document["receipt_id"])

    again = web.post(document)

    assert (again.status_code, again.json()) == (200, announced)
    assert web.rows.ask("SELECT result_due FROM payconfirm.outbox WHERE receipt_id = %s", document["receipt_id"]) == [
        (True,)
    ]


def test_a_different_document_for_a_used_receipt_changes_nothing(web):
    document = order()
    web.post(document)

    problem = assert_problem(web.post(document | {"amount": 1}), 409)

    assert document["order_id"] not in json.dumps(problem)
    amount = web.rows.ask("SELECT amount FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"])
    assert amount == [(3000,)]


def test_everything_that_is_wrong_is_told_at_once(web):
    problem = assert_problem(web.post({"receipt_id": "a/b", "amount": 1.5}), 422)

    assert {error["field"] for error in problem["errors"]} == {"receipt_id", "order_id", "amount"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"receipt_id": "a", "receipt_id": "b", "order_id": "c", "amount": 1}',
        b"\xff",
        b"[" * 60000,
    ],
    ids=["empty", "no json", "a list", "a key twice", "no utf-8", "nested"],
)
def test_what_is_no_document_is_refused(web, body):
    problem = assert_problem(web.post(body, KEY | {"Content-Type": "application/json"}), 422)

    assert problem["errors"]


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not(web):
    headers = KEY | {"Content-Type": "application/json; charset=utf-8"}
    text = json.dumps(order()).encode()

    fits = web.post(text.ljust(65536), headers)
    declared = web.post(text.ljust(65537), headers)
    chunked = web.client.post("/v1/confirmations", headers=headers, content=iter([b" " * 40000, text.ljust(25537)]))

    assert fits.status_code == 202
    assert_problem(declared, 413)
    assert_problem(chunked, 413)


def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_sent(web):
    with closing(socket.create_connection(("127.0.0.1", urlsplit(web.url).port), PATIENCE_SECONDS)) as connection:
        head = f"POST /v1/confirmations HTTP/1.1\r\nHost: door\r\nAuthorization: {KEY['Authorization']}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 65537\r\n\r\n".encode())

        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_taken(web, media_type):
    """A page in somebody's browser can post any of these without being asked."""
    headers = KEY | ({"Content-Type": media_type} if media_type else {})

    assert_problem(web.post(json.dumps(order()).encode(), headers), 415)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", "Bearer producer-on", "Basic producer-one", "producer-one"],
)
def test_without_a_key_nothing_is_taken_or_told(web, header):
    document = order()
    headers = {"Authorization": header} if header is not None else {}

    refused = [
        web.post(document, headers),
        web.post(b"x" * 70000, headers),
        web.get("/v1/confirmations/r?wait=x", headers),
    ]

    for answer in refused:
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert not web.rows.ask("SELECT FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"])


@pytest.mark.parametrize("headers", [KEY, OTHER_KEY, OPERATOR, {"Authorization": "bearer producer-one"}])
def test_every_key_opens_the_producers_routes(web, headers):
    document = order()

    assert web.post(document, headers).status_code == 202
    assert web.get(f"/v1/confirmations/{document['receipt_id']}", headers).status_code == 200


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://shop.example/hook", 202),
        ("https://SHOP.example:8443/hook", 202),
        ("https://a.b.hooks.example/", 202),
        ("http://127.0.0.1:9000/hook", 202),
        ("http://[::1]:9000/hook", 202),
        ("http://localhost/hook", 202),
        ("https://hooks.example/", 422),
        ("https://evilhooks.example/", 422),
        ("https://shop.example.evil.example/", 422),
        ("http://shop.example/hook", 422),
        ("http://a.hooks.example/", 422),
        ("https://127.0.0.2/", 422),
        ("https://169.254.169.254/latest", 422),
    ],
)
def test_callbacks_go_only_to_allowed_hosts(web, url, status):
    answer = web.post(order(callback_url=url))

    assert answer.status_code == status
    if status == 422:
        assert [error["field"] for error in assert_problem(answer, 422)["errors"]] == ["callback_url"]


@pytest.mark.parametrize("field", ["amount", "order_id", "metadata", "odd"])
def test_a_number_that_python_does_not_read_is_one_flaw_among_others(web, field):
    text = json.dumps(order(callback_url="https://evil.example/") | {field: "HERE"})

    problem = assert_problem(web.post(text.replace('"HERE"', "9" * 5000).encode(), KEY | JSON), 422)

    assert {error["field"] for error in problem["errors"]} == {field, "callback_url"}


def test_what_is_unknown_is_a_problem_too(web):
    assert_problem(web.get("/v2/confirmations"), 404)
    assert_problem(web.client.delete("/v1/confirmations"), 405)
    assert web.client.delete("/v1/confirmations").headers["allow"] == "POST"
    assert_problem(web.client.post("/v1/confirmations/", json={}), 404)


def test_the_description_needs_no_key_and_its_examples_are_right(web):
    described = web.get("/openapi.json", {}).json()

    examples = {name: example["value"] for name, example in described["components"]["examples"].items()}
    read_document(examples["order"])
    for name in ("received", "confirmed"):
        TypeAdapter(ResultDocument).validate_python(examples[name])
    assert {"/v1/confirmations", "/v1/confirmations/{receipt_id}", "/healthz", "/readyz"} <= described["paths"].keys()
    assert set(described["paths"]["/v1/confirmations"]["post"]["responses"]) >= {
        "200",
        "202",
        "401",
        "409",
        "413",
        "422",
    }


def test_logs_hold_nothing_of_a_document_and_no_key(web):
    web.post(order(callback_url="https://shop.example/private-path", metadata={"secret": "private-note"}))
    web.post(order(callback_url="http://nowhere.example/private-path"))
    web.post(order(), {"Authorization": "Bearer private-key"})

    logged = web.log.read_text()

    assert not [word for word in ("private-", "producer-one", "on-duty") if word in logged]
