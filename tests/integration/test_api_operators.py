"""What people on duty do over HTTP: the commands' own acts, who may, and what is shown. The gateway is in memory."""

import asyncio
import base64
import itertools
import json
import re
from html import unescape
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import ROUTERS, create_app
from api.keys import fingerprint
from config.settings import Role, Settings
from confirmation.events import uuid7
from confirmation.ports import Terms, World
from confirmation.resolving import Resolving
from confirmation.states import State
from sandbox.twins import TwinLock
from tests.integration.duty_house import open_house
from tests.integration.web_process import DEAD_DATABASE, DEAD_REDIS, KEY, OPERATOR, assert_problem
from worker.store.dead_letters import DeadLetter, DeadLetters
from worker.store.operating import Operating
from worker.store.reading import Reading

PRODUCER = "a key of a producer or of people on duty"
ON_DUTY = "a key of people on duty"
#: The contract's table, with what else there is.
ROUTES = {
    ("POST", "/v1/confirmations"): PRODUCER,
    ("GET", "/v1/confirmations/{receipt_id}"): PRODUCER,
    ("GET", "/v1/events"): PRODUCER,
    ("GET", "/v1/events/stream"): PRODUCER,
    ("POST", "/v1/webhooks/bootpay"): None,
    ("GET", "/v1/confirmations/{receipt_id}/trace"): ON_DUTY,
    ("POST", "/v1/confirmations/{receipt_id}/retry"): ON_DUTY,
    ("POST", "/v1/confirmations/{receipt_id}/void"): ON_DUTY,
    ("POST", "/v1/confirmations/{receipt_id}/resolve"): ON_DUTY,
    ("GET", "/v1/stock/{sku}"): ON_DUTY,
    ("PUT", "/v1/stock/{sku}"): ON_DUTY,
    ("GET", "/v1/callbacks"): ON_DUTY,
    ("POST", "/v1/callbacks/{callback_id}/resend"): ON_DUTY,
    ("GET", "/v1/dead-letters"): ON_DUTY,
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): ON_DUTY,
    ("GET", "/console"): ON_DUTY,
}
OPERATORS_OWN = [route for route, key in ROUTES.items() if key is ON_DUTY]
WITH_A_BODY = [("POST", "/v1/confirmations/r/void"), ("POST", "/v1/confirmations/r/resolve"), ("PUT", "/v1/stock/tee")]
BROWSER = {"Authorization": "Basic " + base64.b64encode(b"me:on-duty").decode()}


class Desk:
    """The door, without a process around it."""

    def __init__(self, **given):
        keys = {"api_keys": "producer-one", "operator_keys": "on-duty another-on-duty"}
        self.app = create_app(Settings(role=Role.WEB, **(keys | given)))
        self.door = self.app.state.door

    def __call__(self, method, path, headers=OPERATOR, **more):
        async def ask():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://door", timeout=30) as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(ask())

    def close(self):
        for threads in (self.door.threads, self.door.aside, self.door.resolving):
            threads.close()
        self.door.engine.dispose()


@pytest.fixture
def house(database_url):
    with open_house(database_url) as house:
        house.fill()
        yield house


@pytest.fixture
def desk(house, database_url):
    desk = Desk(database_url=database_url, redis_url=DEAD_REDIS)
    world = World(house.ledger, house.gateway, TwinLock(house.clock), Terms(), house.clock.tick, lambda: 0.5, uuid7)
    desk.door.desk._resolving = Resolving(Operating(house.engine), world)
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def alone():
    """The door without a database: whoever isn't let in needs none."""
    desk = Desk(database_url=DEAD_DATABASE, redis_url=DEAD_REDIS)
    yield desk
    desk.close()


def story(house, receipt_id):
    return Reading(house.engine).whole_story(receipt_id)


# Who may --------------------------------------------------------------------------------------------------------------


def test_every_route_has_the_key_that_the_contract_says():
    found = {}
    for route in [route for router in ROUTERS for route in router.routes]:
        names = {dependency.call.__name__ for dependency in route.dependant.dependencies}
        needs = ON_DUTY if names & {"operator", "watcher"} else PRODUCER if "caller" in names else None
        found |= {(method, route.path_format): needs for method in route.methods}

    assert found == ROUTES


def filled(path):
    return path.format(receipt_id="r", sku="tee", callback_id=uuid4())


@pytest.mark.parametrize(("method", "path"), OPERATORS_OWN)
def test_only_people_on_duty_are_let_in(alone, method, path):
    nobody = alone(method, filled(path), {})
    wrong = alone(method, filled(path), {"Authorization": "Bearer on-dut"})
    producer = alone(method, filled(path), KEY)

    assert "OPERATOR_KEYS" in assert_problem(nobody, 401)["detail"]
    assert_problem(wrong, 401)
    assert "producer's" in assert_problem(producer, 403)["detail"]
    assert "www-authenticate" in nobody.headers


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[1] != "/console"])
def test_what_a_browser_sends_by_itself_opens_the_console_alone(alone, method, path):
    if ROUTES[method, path] is not None:
        assert_problem(alone(method, filled(path), BROWSER), 401)


def test_without_operators_keys_nobody_is_on_duty():
    desk = Desk(database_url=DEAD_DATABASE, redis_url=DEAD_REDIS, api_keys=None, operator_keys=None)

    refused = [desk("GET", "/metrics", headers) for headers in ({}, KEY)]
    desk.close()

    for answer in refused:
        assert "set OPERATOR_KEYS" in assert_problem(answer, 403)["detail"]


# What they do ---------------------------------------------------------------------------------------------------------


def test_a_retry_is_written_down_with_who_asked_and_without_the_key(desk, house):
    answer = desk("POST", "/v1/confirmations/review/retry")

    step = story(house, "review").steps[-1]
    assert (answer.status_code, answer.json()["result"]["state"]) == (200, "review")
    assert (step.phase, step.decided) == ("operator", "retry")
    assert step.detail.startswith(f"by operator over HTTP (key {fingerprint(b'on-duty')})")
    desk("POST", "/v1/confirmations/review/retry", {"Authorization": "Bearer another-on-duty"})
    assert story(house, "review").steps[-1].detail != step.detail
    assert "on-duty" not in json.dumps(desk("GET", "/v1/confirmations/review/trace").json())


@pytest.mark.parametrize(
    ("body", "sold"), [({}, 2), ({"json": {"restock": True}}, 0), ({"json": {"restock": False}}, 2)]
)
def test_a_void_sends_the_money_back_and_the_stock_where_it_is_told_to(desk, body, sold):
    answer = desk("POST", "/v1/confirmations/confirmed/void", **body)

    assert (answer.status_code, answer.json()["result"]["state"]) == (200, "voiding")
    assert desk("GET", "/v1/stock/tee").json()["sold"] == sold


def test_a_word_ends_a_receipt_where_the_gateway_has_none(desk, house):
    unforced = desk("POST", "/v1/confirmations/review/resolve", json={"as": "rejected"})
    forced = desk("POST", "/v1/confirmations/review/resolve", json={"as": "rejected", "force": True})

    said = assert_problem(unforced, 409)["detail"]
    assert said.endswith(
        'a number nobody documented (status 77); nothing was changed; "force": true makes your word the end'
    )
    assert (forced.status_code, forced.json()["result"]["reason"]) == (200, "operator")
    assert story(house, "review").confirmation.state is State.REJECTED


@pytest.mark.usefixtures("house")
def test_without_the_gateway_s_keys_only_resolving_is_refused(database_url):
    desk = Desk(database_url=database_url, redis_url=DEAD_REDIS)

    refused = desk("POST", "/v1/confirmations/review/resolve", json={"as": "rejected"})
    retried = desk("POST", "/v1/confirmations/review/retry")
    desk.close()

    assert "BOOTPAY_SECRET_KEY" in assert_problem(refused, 503)["detail"]
    assert retried.status_code == 200


def test_what_is_not_done_is_said_in_the_command_s_words(desk):
    for act, receipt_id, body in [
        ("retry", "confirmed", None),
        ("void", "received", None),
        ("resolve", "received", {"as": "voided"}),
    ]:
        problem = assert_problem(desk("POST", f"/v1/confirmations/{receipt_id}/{act}", json=body), 409)
        assert problem["detail"].startswith(f"{receipt_id} is {receipt_id}: ")


def test_an_unknown_receipt_is_not_found(desk):
    for receipt_id, act in itertools.product(["nobody-s", "a%20b", "x" * 65], ["trace", "retry", "void", "resolve"]):
        method, body = ("GET", None) if act == "trace" else ("POST", {"as": "voided"} if act == "resolve" else None)
        assert_problem(desk(method, f"/v1/confirmations/{receipt_id}/{act}", json=body), 404)


def test_a_trace_is_what_explain_says(desk):
    told = desk("GET", "/v1/confirmations/confirmed/trace").json()

    assert (told["state"], told["items"]) == ("confirmed", {"cap": 1, "tee": 2})
    assert [step["decided"] for step in told["steps"]] == ["reserve", "commit"]


WRONG_BODIES = [
    ("/v1/confirmations/review/resolve", b"", "body"),
    ("/v1/confirmations/review/resolve", b"{}", "as"),
    ("/v1/confirmations/review/resolve", b'{"as": "paid"}', "as"),
    ("/v1/confirmations/review/resolve", b'{"as": "voided", "force": "yes"}', "force"),
    ("/v1/confirmations/confirmed/void", b'{"restock": 1}', "restock"),
    ("/v1/confirmations/confirmed/void", b'{"restok": true}', "restok"),
    ("/v1/confirmations/confirmed/void", b"[]", "body"),
]


def test_a_wrong_body_is_told_what_is_right_and_changes_nothing(desk, house):
    for path, body, field in WRONG_BODIES:
        answer = desk("POST", path, OPERATOR | {"Content-Type": "application/json"}, content=body)
        [error] = assert_problem(answer, 422)["errors"]
        assert error["field"] == field
        assert "takes" in error["message"]

    assert story(house, "confirmed").confirmation.state is State.CONFIRMED


@pytest.mark.parametrize(("method", "path"), WITH_A_BODY)
def test_no_body_is_longer_than_64_kib_or_anything_but_json(alone, method, path):
    json_type = OPERATOR | {"Content-Type": "application/json"}

    assert_problem(alone(method, path, json_type, content=b" " * 65537), 413)
    assert_problem(alone(method, path, OPERATOR | {"Content-Type": "text/plain"}, content=b"{}"), 415)


def test_stock_is_set_and_shown(desk, house):
    for sku in ("new", "a/b", "티셔츠", "%25", "tee"):
        answer = desk("PUT", f"/v1/stock/{sku}", json={"available": 7})
        assert (answer.status_code, answer.json()["available"]) == (200, 7)
        assert desk("GET", f"/v1/stock/{sku}").json() == answer.json()

    with house.engine.connect() as connection:
        why = connection.exec_driver_sql("SELECT why FROM payconfirm.stock_changes ORDER BY number DESC").scalar()
    assert why.startswith("set by operator over HTTP (key ")


def test_stock_that_cannot_be_is_refused(desk):
    for available in (-1, 1.5, "7", 10**12 + 1, None, True):
        [error] = assert_problem(desk("PUT", "/v1/stock/tee", json={"available": available}), 422)["errors"]
        assert error["field"] == "available"
    assert_problem(desk("PUT", f"/v1/stock/{'x' * 129}", json={"available": 1}), 422)
    for sku in ("never", "x" * 129, ""):
        assert_problem(desk("GET", f"/v1/stock/{sku}"), 404)


# What is shown --------------------------------------------------------------------------------------------------------


def failed_callback(house, receipt_id="confirmed"):
    house.run(
        "INSERT INTO payconfirm.callbacks (id, receipt_id, sequence, url, state, attempts, last_error)"
        " SELECT id, receipt_id, sequence, 'https://shop.example/hook?secret=1', 'failed', 8, '<b>refused</b>'"
        " FROM payconfirm.outbox WHERE receipt_id = :receipt_id",
        receipt_id=receipt_id,
    )


def test_callbacks_that_failed_are_listed_and_sent_again(desk, house):
    failed_callback(house)

    [failed] = desk("GET", "/v1/callbacks?state=failed").json()
    again = desk("POST", f"/v1/callbacks/{failed['id']}/resend")

    assert (failed["receipt_id"], failed["endpoint"]) == ("confirmed", "https://shop.example/hook")
    assert again.status_code == 202
    assert desk("GET", "/v1/callbacks?state=failed").json() == []
    house.run("UPDATE payconfirm.callbacks SET leased_until = now() + interval '1 minute'")
    assert_problem(desk("POST", f"/v1/callbacks/{failed['id']}/resend"), 409)
    for unknown in (uuid4(), "no-uuid"):
        assert_problem(desk("POST", f"/v1/callbacks/{unknown}/resend"), 404)
    assert_problem(desk("GET", "/v1/callbacks?state=lost"), 422)


def test_callbacks_of_one_receipt_are_listed(desk, house):
    for receipt_id in ("confirmed", "voided"):
        failed_callback(house, receipt_id)

    listed = {query: desk("GET", f"/v1/callbacks?{query}").json() for query in (
        "receipt_id=voided", "receipt_id=voided&state=failed", "receipt_id=voided&state=pending", "receipt_id=nobody-s"
    )}  # fmt: skip

    assert [[call["receipt_id"] for call in calls] for calls in listed.values()] == [["voided"], ["voided"], [], []]
    for wrong in ("a%20b", "", "x" * 65, "가"):
        [error] = assert_problem(desk("GET", f"/v1/callbacks?receipt_id={wrong}"), 422)["errors"]
        assert error["field"] == "receipt_id"


def test_a_trace_has_the_receipts_callbacks(desk, house):
    failed_callback(house)

    told = desk("GET", "/v1/confirmations/confirmed/trace").json()

    assert told["callbacks"] == desk("GET", "/v1/callbacks?receipt_id=confirmed").json()
    assert told["callbacks"][0]["state"] == "failed"


def test_dead_letters_are_listed_as_the_command_does(desk, house):
    DeadLetters(house.engine).keep(DeadLetter("celery", "no amount", b"\xff{}", "r1"))

    [letter] = desk("GET", "/v1/dead-letters").json()

    assert (letter["source"], letter["reason"], letter["receipt_id"]) == ("celery", "no amount", "r1")
    assert base64.b64decode(letter["raw_base64"]) == b"\xff{}"


def numbers(answer):
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_say_how_much_there_is(desk, house):
    failed_callback(house)
    DeadLetters(house.engine).keep(DeadLetter("celery", "no amount", b"{}"))
    house.run("UPDATE payconfirm.confirmations SET due_at = now() - interval '100 s' WHERE receipt_id = 'submitting'")
    house.run("UPDATE payconfirm.outbox SET published_at = now() WHERE receipt_id = 'confirmed'")
    desk("GET", "/v1/confirmations/nobody-s")

    found = numbers(desk("GET", "/metrics"))

    states = {state: found["payconfirm_confirmations", state] for state in State}
    assert states == dict.fromkeys(State, 1) | {"review": 2, "rejected": 2, "voiding": 0}
    assert found["payconfirm_review", "gateway_unclear"] == 2
    assert found["payconfirm_overdue",] == 1
    assert 100 <= found["payconfirm_oldest_due_seconds",] < 160
    [(told,)] = house.engine.connect().exec_driver_sql("SELECT count(*) FROM payconfirm.outbox").all()
    assert found["payconfirm_outbox_waiting", "events"] == told - 1
    assert found["payconfirm_outbox_waiting", "feed"] == told
    assert found["payconfirm_dead_letters",] == 1
    assert found["payconfirm_callbacks", "failed"] == 1
    assert found["payconfirm_http_requests_total", "GET", "/v1/confirmations/{receipt_id}", "404"] == 1
    assert found["payconfirm_database_read",] == 1


def test_metrics_without_the_database_say_so(alone):
    answer = alone("GET", "/metrics")

    assert answer.status_code == 200
    assert numbers(answer)["payconfirm_database_read",] == 0


def test_the_console_shows_what_people_must_know_and_nothing_of_it_is_obeyed(desk, house):
    failed_callback(house)
    DeadLetters(house.engine).keep(DeadLetter("celery", "<script>alert(1)</script>", b"{}", '"><img src=x>'))
    house.run("UPDATE payconfirm.confirmations SET message = '<script>1</script>' WHERE state = 'review'")

    page = desk("GET", "/console?receipt=confirmed", BROWSER)

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for words in (
        "Receipt confirmed",
        "review_held",
        "gateway_unclear",
        "hold the stock, then submit",
        "https://shop.example/hook <b>refused</b>",
    ):
        assert words in shown(page)
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "<b>" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_the_console_repeats_what_was_asked_without_obeying(desk):
    for receipt in ('"><script>', "nobody-s", "가"):
        page = desk("GET", "/console", params={"receipt": receipt})
        assert page.status_code == 200
        assert "There is no" in page.text
        assert "<script" not in page.text


def shown(page):
    """The page's words, without its markup."""
    words = re.sub(r"<style>.*</style>", "", page.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", words.replace("<wbr>", ""))).split())


def test_the_console_tells_a_story_as_explain_does(desk, house):
    house.run("UPDATE payconfirm.confirmations SET callback_url = 'https://shop.example/hook?secret=1'")
    failed_callback(house)
    house.run("UPDATE payconfirm.confirmations SET created_at = '2026-11-23 10:00:00.1239+09'")

    told = shown(desk("GET", "/console?receipt=confirmed", BROWSER))

    for words in (
        "amount 3,000 KRW",
        "items 1 of cap, 2 of tee",
        "callback https://shop.example/hook",
        "next nothing more by itself",
        "2026-11-23 01:00:00 +0.000 created",
        "1 payconfirm.confirmed https://shop.example/hook failed 8 <b>refused</b>",
        "python -m worker void confirmed sends the money back",
    ):
        assert words in told
    assert "secret" not in told
    assert "worker retry confirmed" not in told, "that isn't done to what has ended well"


@pytest.mark.parametrize("order_id", ["주문 7/가 (100%)", "' OR 1=1 --", "<b>&amp;"])
def test_the_console_finds_a_payment_by_its_order(desk, house, order_id):
    house.run("UPDATE payconfirm.confirmations SET order_id = :o WHERE receipt_id = 'voided'", o=order_id)

    one = desk("GET", "/console", BROWSER, params={"receipt": f" {order_id} "})
    house.run("UPDATE payconfirm.confirmations SET order_id = :o WHERE receipt_id = 'rejected'", o=order_id)
    several = desk("GET", "/console", BROWSER, params={"receipt": order_id})

    assert "Receipt voided order" in shown(one)
    assert f"order {order_id} has 2 receipts: name one for its story" in shown(several)
    for receipt_id in ("voided", "rejected"):
        assert f'<a href="/console?receipt={receipt_id}">{receipt_id}</a>' in several.text
    assert "<b>" not in one.text + several.text


def test_the_console_says_how_things_stand_each_number_once_and_in_units(desk, house):
    house.run(
        "INSERT INTO payconfirm.confirmations"
        " (receipt_id, order_id, amount, currency, items, metadata, state, created_at, updated_at, state_since)"
        " SELECT 'more-' || n, 'order-' || n, 1, 'KRW', '{}', '{}', 'rejected', now(), now(), now()"
        " FROM generate_series(1, 1232) n"
    )
    house.run("UPDATE payconfirm.outbox SET published_at = now(), place = number, at = now() - interval '10 min'")
    house.run("UPDATE payconfirm.confirmations SET due_at = now() - interval '3 h' WHERE receipt_id = 'submitting'")

    told = shown(desk("GET", "/console", BROWSER))

    states = "received 1 submitting 1 review 2 confirmed 1 rejected 1,234 voiding 0 voided 1"
    assert f"How things stand Receipts {states} Looks due now" in told
    assert "the oldest for 3 h overdue 1" in told
    assert "Announcements events up to date results to poll 4 waiting, 10 min behind feed up to date" in told
    assert "python -m worker health" in told


def test_the_console_lists_what_people_are_needed_for_with_what_to_do(desk, house):
    failed_callback(house)
    raw = json.dumps([[{"order_id": "주문-7", "amount": 3000}], {}, {}]).encode()
    DeadLetters(house.engine).keep(DeadLetter("celery", "receipt_id: is missing", raw, "voided"))

    page = desk("GET", "/console", BROWSER)

    told = shown(page)
    assert "review order-review 3,000 KRW gateway_unclear a number nobody documented (status 77)" in told
    assert "confirmed confirmed https://shop.example/hook <b>refused</b> (try 8)" in told
    assert "voided 주문-7 3,000 KRW receipt_id: is missing celery" in told
    for receipt_id in ("review", "review_held", "confirmed", "voided"):
        assert f'<a href="/console?receipt={receipt_id}">{receipt_id}</a>' in page.text
    for command in ("retry RECEIPT", "resolve RECEIPT --as", "callbacks --resend ID", "dead-letters --json"):
        assert command in told


def test_rows_of_one_moment_stay_in_their_places_in_the_console(desk, house):
    house.run("UPDATE payconfirm.confirmations SET state_since = '2026-11-23', due_at = now() + interval '1 min'")
    at = []
    for first, then in (("review", "review_held"), ("review_held", "review")):
        house.run("UPDATE payconfirm.confirmations SET due_at = now() WHERE receipt_id = :first", first=first)
        house.run("UPDATE payconfirm.confirmations SET due_at = now() + interval '1 h' WHERE receipt_id = :r", r=then)
        page = desk("GET", "/console", BROWSER).text
        at.append(page.index('?receipt=review"') < page.index('?receipt=review_held"'))

    assert at == [True, True]


def test_what_the_console_could_not_read_is_not_said_to_be_none(alone):
    told = shown(alone("GET", "/console", BROWSER))

    assert "In review couldn't be read Callbacks that failed couldn't be read Dead letters couldn't be read" in told
    assert "none" not in told


def test_the_console_asks_a_browser_for_a_key_and_shows_that_the_database_is_away(alone):
    asked = alone("GET", "/console", {})
    away = alone("GET", "/console", BROWSER)

    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert (away.status_code, "The database gives no answer" in away.text) == (200, True)


# Every answer ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/stock/tee", "GET, PUT"),
        ("HEAD", "/v1/confirmations/r", "GET"),
        ("GET", "/v1/confirmations", "POST"),
        ("PUT", "/metrics", "GET"),
        ("OPTIONS", "/v1/events", "GET"),
        ("TRACE", "/v1/events", "GET"),
    ],
)
def test_another_method_is_told_which_there_are(alone, method, path, allowed):
    answer = alone(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/metrics", "/v1/events", "/openapi.json", "/console"])
def test_no_answer_is_kept_or_taken_for_something_else(alone, path):
    headers = alone("GET", path, {}).headers

    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert headers["content-security-policy"].startswith("default-src 'none'")
