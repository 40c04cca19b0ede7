"""What a producer put on the queue, read so that nothing it can put there stops a worker, loops or vanishes.

`envelope` is for the Redis transport: it makes a well-formed envelope of anything. `read_job` is for both brokers: it
reads the job out of an envelope, or says what is wrong with it.
"""

import base64
import binascii
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from payconfirm.checks import check_receipt_id

UNREADABLE = "application/x-unreadable"

_JSON = "application/json"
#: An order document with the deepest metadata that it may have needs 103. Python gives up at some depth below 1,000, a
#: different one each time it reads the same text, so what is deeper than needed is stopped here.
MOST_LEVELS = 110
#: A good message has some 200 KB at most. Reading JSON takes up to 50 times its size, 800 MB for this much; more isn't
#: read at all.
LARGEST_BYTES = 16 * 1024 * 1024
#: Of what is larger only the beginning is kept: it shows who wrote it, and a row of half a gigabyte would harm whoever
#: lists dead letters. It was never a document, so no payment is lost with the rest.
KEPT_BYTES = 1024 * 1024
#: It becomes the name of a result in Redis, and a column.
LONGEST_ID = 255
#: Where `envelope` puts the message as it was.
RAW = "payconfirm_raw"


@dataclass(frozen=True)
class CeleryJob:
    """One task to run."""

    task: str
    id: str
    arguments: list[Any]
    named: dict[str, Any]


class Unusable(Exception):
    """Nobody can run this message; the text says what is wrong with it.

    `headers` are those of a message that can be read so far: its producer is told.
    """

    def __init__(self, words: str, headers: Mapping[str, Any] | None = None) -> None:
        super().__init__(words)
        self.headers = headers or {}


def envelope(item: bytes, tag: str, queue: str) -> dict[str, Any]:
    """Make kombu's envelope of a list's item. What can't be read becomes one whose body is the item."""
    content_type, encoding, headers, body = parts(item)
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": content_type,
        "content-encoding": encoding,
        "headers": headers,
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": tag,
            "delivery_info": {"exchange": "", "routing_key": queue, RAW: item},
        },
    }


def parts(item: bytes) -> tuple[object, object, dict[str, Any], bytes]:
    """Take a list's item apart: content type, encoding, headers and body; the same for what can't be read."""
    try:
        return _parts(item)
    except Unusable as wrong:
        return UNREADABLE, "binary", {"id": read_id(wrong.headers), "why": str(wrong)}, cut(item)


def document_in(raw: bytes) -> dict[str, Any] | None:
    """Find the document in what a dead letter keeps, a list's item or a body, whatever is wrong with the rest of it."""
    _, _, _, body = parts(raw)
    try:
        found = _json(body, "the body")
    except Unusable:
        return None
    if isinstance(found, list) and len(found) == 3:
        found = {"args": found[0]}
    if isinstance(found, dict) and "args" in found:
        arguments = found["args"]
        found = arguments[0] if isinstance(arguments, list) and arguments else None
    return found if isinstance(found, dict) else None


def receipt_in(raw: bytes) -> str | None:
    """Find the receipt's id in what a dead letter keeps; None for one that no table could hold."""
    try:
        return check_receipt_id((document_in(raw) or {}).get("receipt_id"))
    except ValueError:
        return None


def too_large(what: str) -> str:
    """Say that this is larger than what is read, and what is kept of it."""
    return f"{what} is larger than {LARGEST_BYTES:,} bytes; only its first {KEPT_BYTES:,} are kept"


def cut(raw: bytes) -> bytes:
    """Keep all of it, or the beginning of what is too large."""
    return raw if len(raw) <= LARGEST_BYTES else raw[:KEPT_BYTES]


def _parts(item: bytes) -> tuple[object, object, dict[str, Any], bytes]:
    if len(item) > LARGEST_BYTES:
        raise Unusable(too_large("the message"))
    message = _json(item, "the message")
    if not isinstance(message, dict):
        raise Unusable("the message isn't a JSON object")
    body, headers, properties = message.get("body"), message.get("headers"), message.get("properties")
    if not isinstance(body, str):
        raise Unusable("the message has no body; a document goes into Celery's envelope, or by HTTP")
    if not isinstance(headers, dict):
        raise Unusable("the message has no headers")
    if headers.get("compression"):  # kombu would unpack it without a limit
        raise Unusable("the message is compressed; send it as it is", headers)
    encoding = properties.get("body_encoding") if isinstance(properties, dict) else None
    try:
        encoded = base64.b64decode(body, validate=True) if encoding == "base64" else body.encode(errors="surrogatepass")
    except (binascii.Error, ValueError) as error:
        raise Unusable(f"the body isn't base64: {error}", headers) from None
    return message.get("content-type"), message.get("content-encoding") or "utf-8", headers, encoded


def read_job(headers: object, content_type: object, body: object, known: Container[str]) -> CeleryJob:
    """Read the job, or raise `Unusable`. `known` are the tasks that there are."""
    if not isinstance(headers, Mapping):
        raise Unusable("the message has no headers")
    if content_type == UNREADABLE and "why" in headers:
        raise Unusable(str(headers["why"]))
    if isinstance(body, str | bytes | bytearray) and len(body) > LARGEST_BYTES:
        raise Unusable(too_large("the body"))
    if content_type != _JSON:
        raise Unusable(f"the content type is {repr(content_type)[:100]}, not {_JSON}")
    task, job_id = headers.get("task"), read_id(headers)
    if not isinstance(task, str) or not task:
        raise Unusable("the header `task` is missing: send it in Celery's protocol 2, which is its default")
    if task not in known:
        raise Unusable(f"there is no task {task[:100]!r}")
    if job_id is None:
        raise Unusable(f"the header `id` is missing, or isn't 1 to {LONGEST_ID} printable characters")
    _check_times(headers)
    return CeleryJob(task, job_id, *_arguments(_json(body, "the body")))


def read_id(headers: object) -> str | None:
    """Read under which id a producer may poll; None where there is none that can be used."""
    job_id = headers.get("id") if isinstance(headers, Mapping) else None
    usable = isinstance(job_id, str) and 0 < len(job_id) <= LONGEST_ID and job_id.isprintable()
    return job_id if usable else None


def _check_times(headers: Mapping[str, Any]) -> None:
    """An `eta` is ignored, since rows have their own schedule; what is too late by `expires` isn't run."""
    for name in ("eta", "expires"):
        value = headers.get(name)
        if value is None:
            continue
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise Unusable(f"the header `{name}` isn't a time such as 2026-11-23T01:00:00+00:00") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if name == "expires" and moment <= datetime.now(UTC):
            raise Unusable(f"it expired at {value}")


def _arguments(body: object) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(body, dict) and "args" in body:
        body = [body["args"], body.get("kwargs") or {}, None]
    if not isinstance(body, list) or len(body) != 3:
        raise Unusable("the body isn't [args, kwargs, embed]")
    arguments, named, _ = body
    if not isinstance(arguments, list) or not isinstance(named, dict):
        raise Unusable("the body isn't [args, kwargs, embed] with a list and an object")
    _check_levels(body)
    return arguments, named


def _check_levels(body: list[Any]) -> None:
    pending: list[tuple[object, int]] = [(body, 1)]
    while pending:
        node, level = pending.pop()
        if isinstance(node, dict | list):
            if level > MOST_LEVELS:
                raise Unusable(f"the body is nested too deeply: at most {MOST_LEVELS} levels")
            children = node.values() if isinstance(node, dict) else node
            pending.extend((child, level + 1) for child in children)


def _json(value: object, what: str) -> object:
    if not isinstance(value, str | bytes | bytearray):
        raise Unusable(f"{what} isn't text")
    try:
        return json.loads(value)
    except RecursionError:
        raise Unusable(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise Unusable(f"{what} isn't JSON: {error}") from None
