"""One request and its answer, inside a call's time."""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

import requests
from urllib3.exceptions import HTTPError

from confirmation.answers import Silence
from worker.gateway.call import Call, calling

#: An answer of Bootpay's has a few KiB; more than this is read by nobody.
MAX_BODY_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
#: Up to a day; a longer wait, or a date, is no advice to a worker.
_RETRY_AFTER = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class Reply:
    """What came back over HTTP: the body as strict JSON with decimals for floats, or None."""

    http: int
    document: object = None
    retry_after_seconds: float | None = None


def exchange(session: requests.Session, request: requests.Request, call: Call, *, repeatable: bool) -> Reply | Silence:
    """Send the request and read its whole answer by the call's deadline, or say why there is none.

    What is `repeatable` is sent once more when its connection is found closed: a server may close a kept one at any
    time. Raises `ClaimLost` instead of sending the first byte too late.
    """
    prepared = session.prepare_request(request)
    with calling(call):
        try:
            response = _send(session, prepared, call, repeatable=repeatable)
            try:
                return _read(response)
            finally:
                response.close()
        # ValueError: http.client's own, for a chunk of negative length.
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return Silence(_why(call, error), ended=not call.sent)


def _send(
    session: requests.Session, prepared: requests.PreparedRequest, call: Call, *, repeatable: bool
) -> requests.Response:
    try:
        return session.send(prepared, stream=True)
    except requests.ConnectionError:
        if not (repeatable and call.sent):
            raise
        return session.send(prepared, stream=True)


def _why(call: Call, error: Exception) -> str:
    # The error's own text may hold an address or a header; its name can't.
    if call.over:
        return "no whole answer in time" if call.sent else "nothing sent in time"
    return f"{'no whole answer' if call.sent else 'nothing sent'} ({type(error).__name__})"


def _read(response: requests.Response) -> Reply | Silence:
    body = bytearray()
    while chunk := response.raw.read(_CHUNK_BYTES, decode_content=False):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return Silence(f"{response.status_code}, more than {MAX_BODY_BYTES} bytes")
    document = parse(bytes(body))
    if document is None and not _has_end(response):
        return Silence(f"{response.status_code}, cut off")
    return Reply(response.status_code, document, _retry_after(response))


def _has_end(response: requests.Response) -> bool:
    """Whether a cut would have been noticed: without a length, the end of the connection is the end of the body."""
    headers = response.headers
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


def parse(body: bytes) -> object:
    """Read strict JSON with decimals in place of floats; None for anything else."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_without_repeats)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice: which one is meant?")
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"not JSON: {constant}")


def _retry_after(response: requests.Response) -> float | None:
    said = response.headers.get("Retry-After", "").strip()
    return float(said) if _RETRY_AFTER.fullmatch(said) else None
