"""What people on duty do, over HTTP: the commands' own code, and its words. Every call here blocks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine

from api.problems import Problem
from config.settings import Settings
from confirmation import operating
from confirmation.events import result_document
from confirmation.operating import NotDone, may, said
from confirmation.operators import Act
from confirmation.resolving import Resolving, Word
from confirmation.states import State
from worker import bootstrap
from worker.broker.hints import Hints
from worker.broker.redis import make_redis
from worker.duty import explain, finding
from worker.store.callbacks import Callbacks
from worker.store.dead_letters import DeadLetters
from worker.store.operating import Operating
from worker.store.reading import OfOrder, Reading, WholeStory
from worker.store.stock import Stock

#: How a person who resolves insists, over HTTP.
_FORCE = '"force": true'


class Desk:
    """The parts that people on duty need."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._missing = settings.missing_gateway_keys
        self._rows = Operating(engine, bootstrap.build_hook(settings))
        self._resolving: Resolving | None = None
        if not self._missing:
            worker = bootstrap.build_worker(settings, spared=False, engine=engine)
            self._resolving = Resolving(self._rows, worker.world)
        self._reading = Reading(engine)
        self._stock = Stock(engine)
        self._hints = Hints(make_redis(settings.redis_url.get_secret_value()))
        self.letters = DeadLetters(engine)
        self.callbacks = Callbacks(engine)

    def find(self, wanted: str) -> WholeStory | list[OfOrder]:
        """Give a receipt's story by its own id or its order's. Raises `ValueError` for what can be neither."""
        return finding.find(self._reading, finding.check_wanted(wanted))

    def trace(self, receipt_id: str) -> dict[str, Any]:
        """Tell a receipt's story."""
        story = self._reading.whole_story(receipt_id)
        if story is None:
            raise _unknown(receipt_id)
        return explain.as_data(story)

    def retry(self, receipt_id: str, by: str) -> dict[str, Any]:
        """Have a receipt looked at now."""
        with self._known(receipt_id):
            operating.retry(self._rows, receipt_id, by)
        return self._done(receipt_id, f"{receipt_id} is looked at as soon as a worker is free")

    def void(self, receipt_id: str, by: str, *, restock: bool) -> dict[str, Any]:
        """Send the money of a receipt back."""
        with self._known(receipt_id):
            operating.void(self._rows, may(self._rows, Act.VOID, receipt_id), by, restock=restock)
        return self._done(receipt_id, f"{receipt_id} is voiding: the workers send back what was paid")

    def resolve(self, receipt_id: str, state: State, by: str, *, force: bool) -> dict[str, Any]:
        """End a receipt in review. Takes as long as the gateway does."""
        if self._resolving is None:
            raise Problem(503, f"Resolving asks the gateway first, and this process can't: {self._missing}.")
        with self._known(receipt_id):
            confirmation, heard = self._resolving.resolve(receipt_id, Word(state, force, by, _FORCE))
        self._hints.outbox()
        return self._done(receipt_id, f"the gateway says: {heard}; {receipt_id} is {said(confirmation)}")

    def shelf(self, sku: str) -> dict[str, Any] | None:
        """One SKU's shelf; None for a SKU that was never in stock."""
        shelves = self._stock.show(sku)
        return asdict(shelves[0]) if shelves else None

    def set_stock(self, sku: str, available: int, by: str) -> dict[str, Any]:
        """Make so many available; the difference is written down."""
        return asdict(self._stock.set(sku, available, f"set by {by}"))

    def resend(self, callback_id: str) -> dict[str, Any]:
        """Have a callback sent again now."""
        try:
            sent = self.callbacks.resend(callback_id)
        except LookupError as unknown:
            raise Problem(404, f"There is no such callback: {unknown}.") from None
        if not sent:
            raise Problem(409, f"{callback_id} is on its way at this moment: nothing was changed.")
        self._hints.outbox()
        return {"message": f"{callback_id} is sent again"}

    @contextmanager
    def _known(self, receipt_id: str) -> Iterator[None]:
        """Say in one way what isn't there, and in the command's words what isn't done."""
        try:
            self._rows.standing(receipt_id)
        except LookupError:
            raise _unknown(receipt_id) from None
        try:
            yield
        except NotDone as why:
            raise Problem(409, str(why)) from None

    def _done(self, receipt_id: str, message: str) -> dict[str, Any]:
        confirmation = self._rows.standing(receipt_id).confirmation
        result = self._reading.result(receipt_id) or result_document(confirmation)
        return {"message": message, "result": result}


def _unknown(receipt_id: str) -> Problem:
    return Problem(404, f"There is no receipt {receipt_id} here.")
