"""The HTTP door against documents and webhooks with anything wrong in them: a clear refusal, or the right answer."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from payconfirm import InvalidOrder, read_document
from tests.fuzzing import SEED, chances, count, nonsense
from tests.integration.web_process import KEY, shared_door

DOCUMENT = {
    "receipt_id": "r-1",
    "order_id": "order-1001",
    "amount": 3000,
    "currency": "KRW",
    "items": [{"sku": "tee-black-m", "quantity": 2}, {"sku": "tee-black-s", "quantity": 1}],
    "callback_url": "https://shop.example/hooks",
    "metadata": {"cart": ["c-77", {"deep": None}]},
}
WEBHOOK = {"receipt_id": "r-1", "status": 1, "price": 3000, "private_key": "the-shops-own", "payment_data": {"a": [1]}}
HTTP_AT_ONCE = 8


@pytest.fixture(scope="module")
def web(servers, template_database, tmp_path_factory):
    with shared_door(servers, template_database, tmp_path_factory.mktemp("web")) as web:
        yield web
        assert "web.failed" not in web.log.read_text()
        assert web.process.poll() is None


def verdict(body):
    try:
        return [], read_document(body)
    except InvalidOrder as invalid:
        return invalid.errors, None


def test_a_document_is_taken_or_refused_with_what_is_wrong(web):
    chance = chances("documents")
    bodies = [nonsense(chance, DOCUMENT | {"receipt_id": f"r-{uuid4().hex}"}) for _ in range(count(500))]

    with ThreadPoolExecutor(HTTP_AT_ONCE) as posting:
        answers = list(posting.map(lambda body: web.post(body, KEY | {"Content-Type": "application/json"}), bodies))

    for body, answer in zip(bodies, answers, strict=True):
        errors, document = verdict(body)
        fields = {error["field"] for error in errors}
        said = f"seed {SEED}: {body!r} {answer.text}"
        if document is None:
            assert answer.status_code == 422, said
            assert fields <= {error["field"] for error in answer.json()["errors"]}, said
        elif answer.status_code == 422:  # its host may be another than those named
            assert [error["field"] for error in answer.json()["errors"]] == ["callback_url"], said
        else:
            assert answer.status_code in (202, 409), said
    assert {answer.status_code for answer in answers} >= {202, 422}


def test_a_webhook_with_anything_in_it_gets_the_polite_answer(web):
    """
    It has nothing looked at but what it names itself, in however odd a body.
    """
    chance = chances("webhooks")
    types = ("application/json", "application/x-www-form-urlencoded", "text/plain", "")
    bodies = [nonsense(chance, WEBHOOK) for _ in range(count(300))]

    for body in bodies:
        headers = {"Content-Type": chance.choice(types)}
        answer = web.client.post("/v1/webhooks/bootpay", content=body, headers=headers)
        assert (answer.status_code, answer.text) == (200, json.dumps({"success": True})), f"seed {SEED}: {body!r}"

    for (asked,) in web.rows.ask("SELECT receipt_id FROM payconfirm.confirmations WHERE asked"):
        assert any(asked.encode() in body for body in bodies), f"seed {SEED}: {asked}"
    assert WEBHOOK["private_key"] not in web.log.read_text()
