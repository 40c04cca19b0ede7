"""A real Chromium, as Debian has it, that can reach nothing but this machine."""

import shutil
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

OPTIONS = (
    "--no-sandbox",  # it doesn't start as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
#: A machine that does everything else at the same time.
PATIENCE_MS = 30_000


@pytest.fixture(scope="session")
def chromium():
    """Where Chromium is; tests that need it are skipped, by name and reason, where it isn't."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium in PATH: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def browser(chromium):
    """One Chromium for a file of tests, with a profile of its own that is thrown away."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=OPTIONS) as running:
        yield running


class Tab:
    """A page in a browser session of its own, with everything that it asked for and complained about."""

    def __init__(self, browser, locale):
        self._context = browser.new_context(locale=locale, viewport={"width": 390, "height": 844})
        self._context.set_default_timeout(PATIENCE_MS)
        self.page = self._context.new_page()
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append((request.method, request.url)))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))

    def posted(self, ending):
        """How often something was posted to an address with this ending."""
        return sum(method == "POST" and urlsplit(url).path.endswith(ending) for method, url in self.asked)

    @property
    def hosts(self):
        """Where it asked."""
        return {urlsplit(url).hostname for _, url in self.asked}

    def close(self):
        self._context.close()


@pytest.fixture
def open_tab(browser):
    """Open a tab in a language. In the end none has complained, unless that is expected, nor asked another machine."""
    tabs = []

    def opened(locale="ko-KR"):
        tabs.append(Tab(browser, locale))
        return tabs[-1]

    yield opened
    for tab in tabs:
        tab.close()
    assert [tab.complaints for tab in tabs if tab.complaints] == []
    assert {host for tab in tabs for host in tab.hosts} <= {"127.0.0.1"}
