"""The console in a real Chromium, at the width of a phone: readable, in the browser's colours, nothing refused."""

import pytest

from tests.integration.duty_house import open_house
from tests.integration.web_process import DEAD_REDIS, Web
from worker.store.dead_letters import DeadLetter, DeadLetters

pytestmark = pytest.mark.timeout(120)

KEYS = {"API_KEYS": "producer-one", "OPERATOR_KEYS": "on-duty"}
BROWSER = {"Authorization": "Basic bWU6b24tZHV0eQ=="}  # me:on-duty
#: Longer than any line of a phone.
LONG = "x" * 300
WIDE = "[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"


@pytest.fixture
def console(database_url, tmp_path):
    """The address of a console that has something in every list."""
    with open_house(database_url) as house:
        house.fill()
        house.run(
            "INSERT INTO payconfirm.callbacks (id, receipt_id, sequence, url, state, attempts, last_error)"
            " SELECT id, receipt_id, sequence, 'https://shop.example/a/rather/long/path/to/hooks', 'failed', 8,"
            " 'answered 503' FROM payconfirm.outbox"
        )
        DeadLetters(house.engine).keep(DeadLetter("celery", f"odd: {LONG}", b"{}"))
    web = Web(tmp_path, DATABASE_URL=database_url, REDIS_URL=DEAD_REDIS, **KEYS)
    yield f"{web.url}/console"
    web.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_window_and_a_receipt_is_a_touch_away(console, open_tab, scheme):
    """The policy allows the style by its hash: with a byte of difference the page is bare, and Chromium complains."""
    tab = open_tab("en")
    tab.page.emulate_media(color_scheme=scheme)
    tab.page.set_extra_http_headers(BROWSER)

    tab.page.goto(console)
    widths = [tab.page.evaluate(WIDE)]
    tab.page.get_by_role("link", name="review_held").first.click()
    tab.page.get_by_role("heading", name="Receipt review_held").wait_for()
    widths.append(tab.page.evaluate(WIDE))

    paper = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert widths == [0, 0]
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_what_a_person_types_is_found_by_its_order(console, open_tab):
    page = open_tab("en").page
    page.set_extra_http_headers(BROWSER)
    page.goto(console)

    page.get_by_label("Receipt or order").fill("order-voided")
    page.get_by_role("button", name="Show").click()

    page.get_by_role("heading", name="Receipt voided").wait_for()
