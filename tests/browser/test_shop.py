"""The shop as a buyer has it: a real Chromium, the shop's server, and all of payconfirm with the sandbox gateway."""

import json
import re
import signal
from contextlib import closing, contextmanager

import psycopg2
import pytest
import requests
from playwright.sync_api import expect

from confirmation.states import Reason
from sandbox.server import free_port
from sandbox.shop.shelf import GOODS
from tests.houses import standing
from tests.workers import until

pytestmark = pytest.mark.timeout(240)  # the first one waits for the whole house

STOCK = dict.fromkeys(GOODS, 50) | {"vinyl-signed": 1, "umbrella-red": 0}
SECRET = "whsec_" + "c2hvcHBlcnMgYXJlIHRvbGQgdGhlIHRydXRoIQ=="
PAID, NOT_PAID = "결제가 완료되었습니다", "결제되지 않았습니다"
CHECKING, SOLD_OUT = "결제를 확인하고 있습니다", "품절되었습니다"
REFUNDED = "결제가 취소되어 환불됩니다"
#: Longer than an open page waits before it asks again.
A_LOOK_LATER_MS = 31_000
NOT_CHARGED = "You haven't been charged."
IF_FOUND = f"{NOT_CHARGED} If a charge does show up later, it will be refunded automatically."
XSS = "<img src=x onerror=alert(1)><b>김하늘</b>"


class Shop:
    """The shop, and what can be known of its orders from elsewhere than its page."""

    def __init__(self, house, url):
        self.house = house
        self.url = url

    def charges(self, order_id):
        """How often the gateway has charged for an order."""
        return self.house.control("GET", "/sandbox/ledger")["orders"].get(order_id, {"charges": 0})["charges"]

    def receipts(self, order_id):
        """How many receipts the payment window has opened for an order."""
        return len(self.house.control("GET", f"/sandbox/receipts?order_id={order_id}")["receipts"])

    def void(self, receipt_id):
        """Have a person void a receipt, and wait until the money is back."""
        url = f"{self.house.web_url}/v1/confirmations/{receipt_id}"
        headers = {"Authorization": f"Bearer {self.house.keys.operator}"}
        requests.post(f"{url}/void", json={}, headers=headers).raise_for_status()
        assert until(lambda: requests.get(url, headers=headers).json()["state"] == "voided")

    def status(self, order_id):
        """What the shop's own table says of an order."""
        with closing(psycopg2.connect(self.house.addresses.database_url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT status FROM shop.orders WHERE order_id = %s", (order_id,))
            return cursor.fetchone()[0]

    @contextmanager
    def nobody_working(self):
        """Have the workers stand still, so that no payment is decided meanwhile."""
        for worker in self.house.workers:
            worker.send(signal.SIGSTOP)
        try:
            yield
        finally:
            for worker in self.house.workers:
                worker.send(signal.SIGCONT)

    @contextmanager
    def away(self):
        """Have the shop's server killed; it comes back at the same address."""
        self.house.shop.kill()
        try:
            yield
        finally:
            self.house.shop.start()


@pytest.fixture(scope="module")
def shop(servers, tmp_path_factory):
    callbacks = {"CALLBACK_SECRET": SECRET, "CALLBACK_ALLOWED_HOSTS": "127.0.0.1"}
    with standing(servers, tmp_path_factory.mktemp("house"), stock=STOCK, **callbacks) as house:
        yield Shop(house, house.open_shop(free_port()))


class Buyer:
    """Somebody at the page."""

    def __init__(self, tab, shop):
        self.tab, self.page = tab, tab.page
        self.page.goto(shop.url)

    @property
    def order_id(self):
        """The number of the order that the page shows: it is in its address."""
        return re.fullmatch(r".*/orders/([A-Z0-9]{12})", self.page.url)[1]

    @property
    def receipt_id(self):
        """The receipt, as whoever tries the demo is told it."""
        return re.search(r"explain (\w+)", self.page.locator("#story").inner_text())[1]

    def looks(self):
        """How often the page has asked for an outcome."""
        return sum(url.endswith("/events") for _, url in self.tab.asked)

    def choose(self, sku):
        self.page.locator(f'[data-sku="{sku}"] button').click()

    def order(self, sku="mug-blue", name="김하늘"):
        """Choose an item and order it: the payment window opens."""
        self.choose(sku)
        self.page.fill("#buyer-name", name)
        self.page.click("#checkout-pay")
        expect(self.page.locator("#window")).to_be_visible()

    def pay(self, way="pay"):
        """Do one thing or another in the payment window."""
        self.page.check(f'input[value="{way}"]')
        self.page.click("#window-pay")

    def sees(self, title):
        """Wait until the page says so."""
        expect(self.page.locator("#outcome-title")).to_have_text(title)

    @property
    def text(self):
        return self.page.locator("main").inner_text()


@pytest.fixture
def buyer(open_tab, shop):
    return Buyer(open_tab(), shop)


def test_an_item_is_bought(buyer, shop):
    buyer.order("cap-navy")
    buyer.pay()

    buyer.sees(PAID)
    assert "김하늘 님" in buyer.text
    assert "25,000원" in buyer.text
    assert shop.charges(buyer.order_id) == 1
    assert shop.status(buyer.order_id) == "paid"


def test_an_item_is_bought_with_the_keyboard_alone(buyer, shop):
    press = buyer.page.keyboard.press
    buyer.page.locator('[data-sku="tote-canvas"] button').focus()
    press("Enter")
    expect(buyer.page.locator("#buyer-name")).to_be_focused()
    buyer.page.keyboard.type("Kim")
    press("Enter")
    expect(buyer.page.locator("#window")).to_be_visible()
    buyer.page.locator('input[value="pay"]').focus()
    press("Enter")

    buyer.sees(PAID)
    assert shop.charges(buyer.order_id) == 1


def test_the_last_one_is_sold_once_and_who_comes_second_is_not_charged(buyer, open_tab, shop):
    second = Buyer(open_tab(), shop)
    expect(buyer.page.locator('[data-sku="vinyl-signed"] .stock')).to_have_text("1개 남음")
    expect(buyer.page.locator('[data-sku="umbrella-red"] button')).to_be_disabled()
    for each in (buyer, second):
        each.order("vinyl-signed")

    buyer.pay()
    buyer.sees(PAID)
    second.pay()
    second.sees(SOLD_OUT)

    assert "결제된 금액은 없습니다" in second.text
    assert (shop.charges(buyer.order_id), shop.charges(second.order_id)) == (1, 0)
    second.page.click("#back")
    expect(second.page.locator('[data-sku="vinyl-signed"] .stock')).to_have_text("품절")
    expect(second.page.locator('[data-sku="vinyl-signed"] button')).to_be_disabled()


def test_a_payment_that_the_bank_declines_is_not_charged_and_says_why(buyer, shop):
    buyer.order()
    buyer.pay("decline")

    buyer.sees(NOT_PAID)
    assert "카드사가 승인을 거절했습니다" in buyer.text
    buyer.page.click("[data-language=en]")
    expect(buyer.page.locator("#bank")).to_have_text(
        "In your bank's own words: 카드사에서 승인을 거절하였습니다. (한도초과)"
    )
    expect(buyer.page.locator("#bank-words")).to_have_attribute("lang", "ko")
    assert shop.charges(buyer.order_id) == 0
    assert shop.status(buyer.order_id) == "failed"


def test_a_tampered_amount_is_not_charged(buyer, shop):
    buyer.order()
    buyer.pay("tamper")

    buyer.sees(NOT_PAID)
    assert "금액이 주문 금액과 달라" in buyer.text
    assert "12,000원" in buyer.text
    assert shop.charges(buyer.order_id) == 0


def test_a_payment_whose_answer_is_lost_is_complete_and_charged_once(buyer, shop):
    buyer.order()
    buyer.pay("lose")

    buyer.sees(PAID)
    assert shop.charges(buyer.order_id) == 1


def test_who_tries_a_payment_is_told_where_its_story_is(buyer, shop):
    buyer.order()
    expect(buyer.page.locator("#story")).to_be_hidden()
    buyer.pay("lose")

    buyer.sees(PAID)
    story = json.loads(shop.house.run("python", "-m", "worker", "explain", buyer.receipt_id, "--json"))
    assert "lost" in json.dumps(story) or "no word" in json.dumps(story)


def test_a_page_that_stays_open_says_that_a_person_has_voided_the_payment(open_tab, shop):
    tab = open_tab()
    tab.page.clock.install()
    buyer = Buyer(tab, shop)
    buyer.order()
    buyer.pay()
    buyer.sees(PAID)

    shop.void(buyer.receipt_id)
    tab.page.clock.fast_forward(A_LOOK_LATER_MS)

    buyer.sees(REFUNDED)
    looks = buyer.looks()
    tab.page.clock.fast_forward(10 * A_LOOK_LATER_MS)
    assert buyer.looks() == looks, "nothing follows what is voided"


def test_a_page_that_nobody_sees_asks_for_nothing_until_it_is_seen_again(open_tab, shop):
    tab = open_tab()
    tab.page.clock.install()
    buyer = Buyer(tab, shop)
    buyer.order()
    buyer.pay()
    buyer.sees(PAID)
    seen = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s})"

    tab.page.evaluate(seen % "true")
    looks = buyer.looks()
    for _ in range(3):
        tab.page.clock.fast_forward(A_LOOK_LATER_MS)
    assert buyer.looks() == looks

    shop.void(buyer.receipt_id)
    tab.page.evaluate(seen % "false")
    tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    buyer.sees(REFUNDED)


def test_an_order_that_is_placed_anew_is_not_covered_by_the_old_one(open_tab, shop):
    """The old one's next look is planned when the new one begins."""
    tab = open_tab()
    tab.page.clock.install()
    buyer = Buyer(tab, shop)
    buyer.order()
    buyer.pay("decline")
    buyer.sees(NOT_PAID)
    old = buyer.order_id

    buyer.page.click("#again")
    buyer.page.click("#checkout-pay")
    expect(buyer.page.locator("#window")).to_be_visible()
    looks = buyer.looks()
    tab.page.clock.fast_forward(A_LOOK_LATER_MS)

    assert buyer.looks() == looks
    assert buyer.order_id != old
    buyer.pay()
    buyer.sees(PAID)


@pytest.mark.parametrize(
    ("reason", "money"),
    [
        *dict.fromkeys(("out_of_stock", "unknown_sku", "amount_mismatch", "payment_failed"), NOT_CHARGED).items(),
        *dict.fromkeys(("declined", "deadline_exceeded", "not_ready", "awaiting_deposit"), IF_FOUND).items(),
        ("order_already_paid", "You haven't been charged a second time."),
        (
            "already_cancelled",
            "We haven't kept any money. Anything you had been charged goes back to your original payment method.",
        ),
    ],
)
def test_a_rejection_speaks_of_a_refund_only_where_money_could_be_found(open_tab, shop, reason, money):
    tab = open_tab("en-GB")
    told = {"state": "rejected", "final": True, "reason": reason, "message": "", "order_id": "X", "receipt_id": "r"}
    event = f"data: {json.dumps(told)}\n\n"
    tab.page.route("**/orders/*/events", lambda route: route.fulfill(content_type="text/event-stream", body=event))
    tab.page.goto(f"{shop.url}/orders/X")

    expect(tab.page.locator("#outcome-money")).to_have_text(money)


def test_a_name_that_is_missing_is_asked_for(buyer):
    buyer.choose("mug-blue")
    buyer.page.click("#checkout-pay")

    expect(buyer.page.locator("#checkout-problem")).to_have_text("받는 분 이름을 입력해 주세요.")
    expect(buyer.page.locator("#buyer-name")).to_be_focused()


@pytest.mark.parametrize("size", [(320, 568), (360, 640)], ids=["320x568", "360x640"])
@pytest.mark.parametrize("language", ["ko-KR", "en-GB"])
def test_on_a_small_screen_the_windows_buttons_are_seen_and_every_way_can_be_chosen(open_tab, shop, size, language):
    tab = open_tab(language)
    tab.page.set_viewport_size({"width": size[0], "height": size[1]})
    buyer = Buyer(tab, shop)
    buyer.order()

    for button in ("#window-pay", "#window-cancel"):
        expect(tab.page.locator(button)).to_be_in_viewport(ratio=1)
    way = tab.page.locator('label:has(input[value="lose"])')
    tab.page.locator('input[value="lose"]').focus()
    expect(way).to_be_in_viewport(ratio=1)
    below, foot = way.bounding_box(), tab.page.locator("#window .foot").bounding_box()
    assert below["y"] + below["height"] <= foot["y"]


def test_an_address_that_leads_nowhere_has_a_page_that_leads_back(buyer, shop):
    answer = buyer.page.goto(f"{shop.url}/no/such/page")

    assert answer.status == 404
    buyer.sees("페이지를 찾을 수 없습니다")
    buyer.page.click("#back")
    expect(buyer.page.locator('[data-sku="mug-blue"]')).to_be_visible()
    assert {"404" in said for said in buyer.tab.complaints} == {True}
    buyer.tab.complaints.clear()


def test_a_reload_while_nothing_is_decided_says_that_it_is_looked_into_and_then_the_outcome(buyer, shop):
    with shop.nobody_working():
        buyer.order()
        buyer.pay()
        buyer.sees(CHECKING)
        buyer.page.reload()
        expect(buyer.page.locator("#summary")).to_contain_text("12,000원")
        buyer.sees(CHECKING)
        assert "중복으로 결제되지 않습니다" in buyer.text
        assert NOT_PAID not in buyer.text

    buyer.sees(PAID)
    assert shop.charges(buyer.order_id) == 1


def test_a_connection_that_is_lost_comes_back_with_the_outcome(buyer, shop):
    with shop.nobody_working():
        buyer.order()
        buyer.pay()
        buyer.sees(CHECKING)
        with shop.away():
            expect(buyer.page.locator("#connection")).to_be_visible()
            buyer.sees(CHECKING)

    buyer.sees(PAID)
    expect(buyer.page.locator("#connection")).to_be_hidden()
    assert shop.charges(buyer.order_id) == 1
    assert {"net::ERR" in said for said in buyer.tab.complaints} == {True}
    buyer.tab.complaints.clear()


def test_an_order_has_its_outcome_though_the_buyer_has_closed_the_page(buyer, shop):
    with shop.nobody_working():
        buyer.order()
        with buyer.page.expect_response(re.compile(r"/pay$")):
            buyer.pay()
        order_id = buyer.order_id
        buyer.tab.close()
        with shop.away():
            pass  # and nothing in its server waits for the outcome any more

    assert until(lambda: shop.status(order_id) == "paid")


def test_who_presses_twice_orders_once_and_is_charged_once(buyer, shop):
    buyer.choose("socks-wool")
    buyer.page.fill("#buyer-name", "Kim")
    buyer.page.dblclick("#checkout-pay")
    expect(buyer.page.locator("#window")).to_be_visible()
    buyer.page.dblclick("#window-pay")

    buyer.sees(PAID)
    assert [buyer.tab.posted(ending) for ending in ("/orders", "/pay")] == [1, 1]
    assert shop.receipts(buyer.order_id) == 1
    assert shop.charges(buyer.order_id) == 1


def test_a_window_that_is_closed_charges_nothing_and_can_be_opened_again(buyer, shop):
    buyer.order()
    buyer.page.click("#window-cancel")
    buyer.sees("아직 결제하지 않은 주문입니다")
    buyer.page.reload()
    buyer.page.click("#pay-now")
    buyer.pay()

    buyer.sees(PAID)
    assert shop.charges(buyer.order_id) == 1


def test_a_name_that_is_a_script_stays_text(buyer):
    buyer.order(name=XSS)
    buyer.pay()

    buyer.sees(PAID)
    assert XSS in buyer.text
    assert buyer.page.locator("main img").count() == 0


def test_the_page_speaks_the_browsers_language_and_the_one_that_is_chosen(open_tab, shop):
    buyer = Buyer(open_tab("en-GB"), shop)
    expect(buyer.page.locator("html")).to_have_attribute("lang", "en")
    buyer.order()
    expect(buyer.page.locator("#window-pay")).to_have_text("Pay ₩12,000")
    buyer.pay()
    buyer.sees("Your payment is complete")

    buyer.page.click("[data-language=ko]")
    buyer.sees(PAID)
    buyer.page.reload()
    buyer.sees(PAID)
    expect(buyer.page.locator("html")).to_have_attribute("lang", "ko")


def test_every_reason_has_words_in_both_languages(buyer):
    words = buyer.page.evaluate(
        "import('/static/words.js').then(({WORDS: {ko, en}}) => ({ko: Object.keys(ko), en: Object.keys(en),"
        " reasons: [ko.reasons, en.reasons]}))"
    )

    assert sorted(words["ko"]) == sorted(words["en"])
    assert [set(reasons) for reasons in words["reasons"]] == [set(Reason), set(Reason)]
    assert all(text for reasons in words["reasons"] for text in reasons.values())


def test_an_order_is_shown_to_nobody_else(buyer, open_tab, shop):
    buyer.order()
    other = Buyer(open_tab(), shop)
    other.page.goto(buyer.page.url)

    other.sees("주문을 찾을 수 없습니다")
    assert "김하늘" not in other.text


# What the page would never send: the server is asked by itself --------------------------------------------------------


@pytest.fixture
def session(shop):
    with requests.Session() as session:
        session.get(shop.url).raise_for_status()
        yield session


def order(session, shop, **more):
    placed = session.post(f"{shop.url}/orders", json={"sku": "mug-blue", "name": "Kim"} | more)
    return placed.json()["order_id"]


def authorise(session, shop, order_id):
    return session.post(f"{shop.url}/sandbox/window/{order_id}", json={"way": "pay"}).json()["receipt_id"]


def pay(session, shop, order_id, receipt_id):
    return session.post(f"{shop.url}/orders/{order_id}/pay", json={"receipt_id": receipt_id}).status_code


def outcome(session, shop, order_id):
    """The last of what the server tells about an order."""
    with session.get(f"{shop.url}/orders/{order_id}/events", stream=True) as stream:
        return [line.decode() for line in stream.iter_lines() if line.startswith(b"data:")][-1]


def test_a_price_that_a_browser_sends_is_not_the_orders(session, shop):
    order_id = order(session, shop, amount=1, price=1)
    receipt = {"order_id": order_id, "price": 1}
    receipt_id = shop.house.control("POST", "/sandbox/receipts", receipt)["receipt_id"]

    assert pay(session, shop, order_id, receipt_id) == 202
    assert '"amount_mismatch"' in outcome(session, shop, order_id)
    assert shop.charges(order_id) == 0


def test_a_receipt_pays_the_order_that_it_was_given_for_first_and_no_other(session, shop):
    first, second = order(session, shop), order(session, shop)
    receipt_id = authorise(session, shop, first)

    assert pay(session, shop, first, receipt_id) == 202
    assert pay(session, shop, first, receipt_id) == 202, "the same again is the same"
    assert pay(session, shop, second, receipt_id) == 409
    assert pay(session, shop, first, authorise(session, shop, first)) == 409
    assert '"confirmed"' in outcome(session, shop, first)
    assert '"placed"' in outcome(session, shop, second)
    assert (shop.charges(first), shop.charges(second)) == (1, 0)


def test_another_browser_can_not_pay_an_order_or_hear_of_it(session, shop):
    order_id = order(session, shop)
    receipt_id = authorise(session, shop, order_id)
    with requests.Session() as other:
        other.get(shop.url)
        assert pay(other, shop, order_id, receipt_id) == 404
        assert outcome(other, shop, order_id) == 'data: {"state": "missing", "final": true}'


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"json": {"sku": "mug-blue", "name": "Kim"}, "headers": {"Origin": "http://evil.example"}}, 403),
        ({"data": '{"sku": "mug-blue", "name": "Kim"}', "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": "[1]", "headers": {"Content-Type": "application/json"}}, 400),
        ({"json": {"sku": "../etc", "name": "Kim"}}, 422),
        ({"json": {"sku": "mug-blue", "name": "a\u202eb"}}, 422),
    ],
)
def test_what_is_no_order_of_our_page_is_refused(session, shop, sent, code):
    refused = session.post(f"{shop.url}/orders", **sent)

    assert refused.status_code == code
    assert refused.json()["error"]


def test_a_callback_that_is_not_signed_with_our_secret_is_refused(shop):
    headers = {"webhook-id": "e", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}

    assert requests.post(f"{shop.url}/hooks/payconfirm", json={"data": {}}, headers=headers).status_code == 401


def test_every_answer_forbids_what_is_not_the_shops_own(session, shop):
    for path in ("/", "/static/app.js", "/items", "/nothing"):
        policy = session.get(shop.url + path).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
