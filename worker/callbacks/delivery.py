"""The way of one callback: claimed, delivered, written back."""

import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import structlog

from confirmation.events import cloud_event
from worker.callbacks.hosts import AllowedHosts
from worker.callbacks.retries import read_wish, wait_after
from worker.callbacks.sending import NoAnswer, Post
from worker.callbacks.signing import Signing
from worker.store.calling import Calling, Claimed, Standing

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/cloudevents+json"
#: The shop says by this that the address is no more.
GONE = 410
#: So much of an answer that isn't a yes is kept for people.
_SHOWN_CHARACTERS = 200

#: Does something once the database is there.
Patiently = Callable[[Callable[[], object]], object]


class Delivery:
    """Delivers callbacks, one at a time in each thread."""

    def __init__(self, calling: Calling, hosts: AllowedHosts, signing: Signing, post: Post) -> None:
        self._calling = calling
        self._hosts = hosts
        self._signing = signing
        self._post = post

    def carry(self, callback_id: UUID, fence: UUID, patiently: Patiently) -> Standing | None:
        """Deliver the callback if it is still as the message says; say how it stands then."""
        claimed = patiently(lambda: self._calling.claim(callback_id, fence))
        if not isinstance(claimed, Claimed):
            return None
        began = time.monotonic()
        write = self._deliver(claimed)
        standing = patiently(write)
        _tell(claimed, standing if isinstance(standing, Standing) else None, time.monotonic() - began)
        return standing if isinstance(standing, Standing) else None

    def _deliver(self, claimed: Claimed) -> Callable[[], Standing | None]:
        """Send it; give back what is to be written."""
        try:
            return self._send(claimed)
        except Exception as unforeseen:  # noqa: BLE001 — it would come again and again, as if its process had been killed
            return self._unanswered(claimed, f"payconfirm failed over it: {type(unforeseen).__name__}")

    def _send(self, claimed: Claimed) -> Callable[[], Standing | None]:
        if flaw := self._hosts.flaw(claimed.url):
            return lambda: self._calling.refused(claimed, f"callback_url: {flaw}")
        body = body_of(claimed)
        headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "payconfirm", "Connection": "close"}
        signed = self._signing.headers(str(claimed.id), datetime.now(UTC), body)
        said = self._post.send(claimed.url, headers | signed, body)
        if isinstance(said, NoAnswer):
            return self._unanswered(claimed, said.why)
        status = said.status
        if 200 <= status < 300:
            return lambda: self._calling.delivered(claimed, status)
        wish = read_wish(said.retry_after, datetime.now(UTC))
        wait = None if status == GONE else wait_after(claimed.attempt, wish, random.random())  # noqa: S311 — no secret hangs on it
        words = _words(status, said.body)
        return lambda: self._calling.not_taken(claimed, words, status, wait)

    def _unanswered(self, claimed: Claimed, why: str) -> Callable[[], Standing | None]:
        wait = wait_after(claimed.attempt, None, random.random())  # noqa: S311 — as above
        return lambda: self._calling.not_taken(claimed, why, None, wait)


def body_of(claimed: Claimed) -> bytes:
    """The event as CloudEvents JSON: of one event always the same bytes, whichever try it is."""
    event = cloud_event(claimed.id, claimed.type, claimed.at, claimed.document)
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _words(status: int, body: bytes) -> str:
    """What the shop's server answered, as far as people need it."""
    if status == GONE:
        return "it answered 410: it wants no more of this"
    if 300 <= status < 400:
        return f"it answered {status}: redirects aren't followed"
    words = "".join(c if c.isprintable() else " " for c in body.decode(errors="replace"))[:_SHOWN_CHARACTERS].strip()
    return f"it answered {status}" + (f": {words}" if words else "")


def _tell(claimed: Claimed, standing: Standing | None, seconds: float) -> None:
    """Say in one line what became of it; the address beyond its host may be the shop's secret."""
    told = log.bind(callback=str(claimed.id), receipt_id=claimed.receipt_id, host=claimed.host)
    if standing is None:
        told.warning("callback.claim_lost", attempt=claimed.attempt)
        return
    told.info("callback.carried", state=standing.state, attempt=claimed.attempt, seconds=round(seconds, 3))
    if standing.state == "failed":
        told.warning("callback.failed", attempt=claimed.attempt)
    if standing.paused:
        told.warning("callbacks.paused", why="it has taken nothing for a day; see python -m worker callbacks")
