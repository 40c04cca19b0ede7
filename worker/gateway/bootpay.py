"""The gateway client: one pool of connections and one token for a process, one hard deadline for each call.

`look_up`, `submit` and `cancel` all go through `_make`: a token, the request, its answer (`exchange.py`), what the
dialect hears in it (`v1.py`, `v2.py`), and the answer that this is (`reading.py`). `connections.py` keeps the deadline.
"""

import re
import time
from base64 import b64encode
from collections.abc import Callable

import requests
import structlog

from confirmation.answers import Answer, Silence
from worker.gateway.account import Account
from worker.gateway.call import Call
from worker.gateway.connections import build_session
from worker.gateway.dialect import Dialect, Said
from worker.gateway.exchange import exchange
from worker.gateway.reading import Asked, Kind, read, silence
from worker.gateway.tokens import Token, Tokens
from worker.gateway.v1 import V1
from worker.gateway.v2 import V2

_DIALECTS: dict[str, Callable[[], Dialect]] = {"v1": V1, "v2": V2}
#: Wrong keys are complained about this often.
ALARM_SECONDS = 60.0

log = structlog.get_logger(__name__)

_RECEIPT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BootpayGateway:
    """Implements `confirmation.ports.Gateway` for threads that share it. Opens no connection until it is asked."""

    def __init__(
        self,
        account: Account,
        *,
        lookup_seconds: float = 5.0,
        submit_seconds: float = 12.0,
        tick: Callable[[], float] = time.monotonic,
        connections: int = 32,
    ) -> None:
        self._account = account
        self._dialect = _DIALECTS[account.api]()
        self._base = account.url.rstrip("/") + self._dialect.prefix
        self._lookup_seconds = lookup_seconds
        self._submit_seconds = submit_seconds
        self._tick = tick
        self._session = build_session(connections)
        self._tokens = Tokens(self._ask_token)
        self._alarm_again_at = float("-inf")

    def look_up(self, receipt_id: str, *, start_by: float) -> Answer:
        """Say what the gateway knows now."""
        asked = Asked(Kind.LOOK_UP, _check(receipt_id))
        request = self._get(f"/receipt/{receipt_id}{self._dialect.lookup_query}")
        return self._make(asked, request, self._call(self._lookup_seconds, start_by))

    def submit(self, receipt_id: str, *, start_by: float) -> Answer:
        """Ask for the money to move."""
        asked = Asked(Kind.SUBMIT, _check(receipt_id))
        request = self._post(self._dialect.submit_path, {"receipt_id": receipt_id})
        return self._make(asked, request, self._call(self._submit_seconds, start_by))

    def cancel(self, receipt_id: str, cancel_id: str, *, start_by: float) -> Answer:
        """Ask for all that remains to go back."""
        asked = Asked(Kind.CANCEL, _check(receipt_id))
        request = self._post("/cancel", self._dialect.cancel_fields(receipt_id, cancel_id))
        return self._make(asked, request, self._call(self._submit_seconds, start_by))

    def _call(self, seconds: float, start_by: float) -> Call:
        return Call(self._tick, ends_at=self._tick() + seconds, start_by=start_by)

    def _get(self, path: str) -> requests.Request:
        return requests.Request("GET", self._base + path)

    def _post(self, path: str, body: dict[str, object]) -> requests.Request:
        return requests.Request("POST", self._base + path, json=body)

    def _make(self, asked: Asked, request: requests.Request, call: Call) -> Answer:
        call.check_start()
        if self._account.basic:
            said = self._say(request, call, _basic(self._account))
        else:
            said = self._say_with_token(request, call)
        answer = said if isinstance(said, Silence) else read(said, asked, self._dialect)
        if isinstance(answer, Silence) and "401" in answer.why:
            self._raise_alarm(answer.why)
        return answer

    def _raise_alarm(self, why: str) -> None:
        """Wrong keys reject no buyer, so without this nobody would notice; once a minute is enough."""
        if self._tick() >= self._alarm_again_at:
            self._alarm_again_at = self._tick() + ALARM_SECONDS
            log.error("gateway.refuses_our_keys", why=why)

    def _say_with_token(self, request: requests.Request, call: Call) -> Said | Silence:
        """Send the request, and once more after a 401: that one was not processed."""
        token = self._tokens.get(call.for_token())
        if isinstance(token, Silence):
            return token
        said = self._say(request, call, self._dialect.authorization(token.value))
        if isinstance(said, Silence) or said.status != 401:
            return said
        renewed = self._tokens.get(call.for_token(), refused=token)
        if isinstance(renewed, Silence):
            return renewed
        return self._say(request, call.again(), self._dialect.authorization(renewed.value))

    def _say(self, request: requests.Request, call: Call, authorization: str) -> Said | Silence:
        request.headers = {"Authorization": authorization}
        reply = exchange(self._session, request, call, repeatable=request.method == "GET")
        return reply if isinstance(reply, Silence) else self._dialect.hear(reply)

    def _ask_token(self, call: Call) -> Token | Silence:
        keys = {"application_id": self._account.application_id, "private_key": self._account.private_key}
        asked_at = self._tick()
        # Asking twice gives the same token.
        reply = exchange(self._session, self._post("/request/token", dict(keys)), call, repeatable=True)
        if isinstance(reply, Silence):
            return Silence(f"no token: {reply.why}", ended=True)
        said = self._dialect.hear(reply)
        if said.data is None:
            refusal = silence(said)
            return Silence(f"{refusal.why} (token)", ended=True, retry_after_seconds=refusal.retry_after_seconds)
        try:
            return Token.of(*self._dialect.token(said.data), asked_at=asked_at)
        except ValueError:
            return Silence("not the token we know", ended=True)


def _check(receipt_id: str) -> str:
    """Return the id that may become part of a path. Raises `ValueError`: whoever calls has checked the document."""
    if not _RECEIPT_ID.fullmatch(receipt_id):
        raise ValueError("a receipt_id is 1 to 64 of A-Z a-z 0-9 _ -")
    return receipt_id


def _basic(account: Account) -> str:
    return "Basic " + b64encode(f"{account.client_key}:{account.secret_key}".encode()).decode()
