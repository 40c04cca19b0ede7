"""What is not ours, as workers meet it: the gateway, the lock's server and the shop's hook."""

from contextlib import AbstractContextManager
from typing import Any

from confirmation.answers import Answer
from confirmation.errors import ClaimLost, HookFailed, HookRefused
from confirmation.hooks import MAY_REFUSE, Method
from sandbox.simulation.fate import Chances
from sandbox.simulation.passages import ANYWHERE, Passage, Stage
from sandbox.simulation.runs import Killed
from sandbox.twins import TwinGateway, TwinLock, TwinShop

GATEWAY = Chances.of(**ANYWHERE)
FIRST_BYTE = Chances.of(paused=0.006)
LOCK = Chances.of(away=0.1)
HOOK = Chances.of(refuses=0.02, fails=0.03)
GATEWAY_SECONDS = 0.6


class PassedGateway(Passage):
    """The gateway. Only where it says that one receipt is one payment may a call still begin after a pause."""

    def __init__(self, stage: Stage, gateway: TwinGateway) -> None:
        super().__init__(stage, GATEWAY_SECONDS, GATEWAY)
        self._gateway = gateway

    def look_up(self, receipt_id: str, *, start_by: float) -> Answer:
        """As the port."""
        if self._stage.must_crash(receipt_id):
            self._stage.note(receipt_id, "crashed")
            raise Killed
        answer: Answer = self.through(receipt_id, "look-up", lambda: self._look_up(receipt_id, start_by))
        self._stage.at_work.heard = answer
        return answer

    def submit(self, receipt_id: str, *, start_by: float) -> Answer:
        """As the port."""
        receipt = self._gateway.receipts.get(receipt_id)
        if receipt and receipt.api == "v2" and self._stage.at_work.fate.draw("first-byte", FIRST_BYTE):
            start_by = self._pause_before_the_first_byte(receipt_id, start_by)
        answer: Answer = self.through(receipt_id, "submit", lambda: self._submit(receipt_id, start_by))
        return answer

    def cancel(self, receipt_id: str, cancel_id: str, *, start_by: float) -> Answer:
        """As the port."""
        answer: Answer = self.through(
            receipt_id, "cancel", lambda: self._gateway.cancel(receipt_id, cancel_id, start_by=start_by), cancel_id
        )
        return answer

    def _look_up(self, receipt_id: str, start_by: float) -> Answer:
        answer = self._gateway.look_up(receipt_id, start_by=start_by)
        self._stage.looked(receipt_id)
        return answer

    def _submit(self, receipt_id: str, start_by: float) -> Answer:
        answer = self._gateway.submit(receipt_id, start_by=start_by)
        self._stage.promises.turns.submitted(receipt_id, self._stage.tick() + GATEWAY_SECONDS)
        return answer

    def _pause_before_the_first_byte(self, receipt_id: str, start_by: float) -> float:
        """The check of the lease is past, and the worker stands still before it sends: the gap that remains."""
        if self._stage.tick() > start_by:
            raise ClaimLost("too little of the lease is left")
        self._stage.promises.excused.add(receipt_id)
        self.pause(receipt_id, "between the check and the first byte")
        return float("inf")


class PassedLock:
    """The lock, whose server is away now and then."""

    def __init__(self, stage: Stage, lock: TwinLock) -> None:
        self._stage = stage
        self._lock = lock

    def __call__(self, receipt_id: str) -> AbstractContextManager[bool]:
        """As the port."""
        self._lock.away = bool(self._stage.at_work.fate.draw("lock", LOCK))
        return self._lock(receipt_id)


class PassedShop:
    """The shop's hook, which refuses or fails now and then."""

    def __init__(self, stage: Stage, shop: TwinShop) -> None:
        self._stage = stage
        self._shop = shop

    def has(self, method: Method) -> bool:
        """As the port."""
        return self._shop.has(method)

    def call(self, method: Method, connection: Any, order: dict[str, Any]) -> None:  # noqa: ANN401 - as the port
        """As the port."""
        incident = self._stage.at_work.fate.draw(method.value.replace("_", "-"), HOOK)
        if incident:
            self._stage.note(order["receipt_id"], f"{method} {incident}")
        if incident == "refuses" and method in MAY_REFUSE:
            raise HookRefused("not today")
        if incident == "fails":
            raise HookFailed("the shop's table is locked")
        self._shop.call(method, connection, order)
