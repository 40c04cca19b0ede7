"""Answers in JSON, written by one hand."""

import json
from typing import Any

from fastapi import Response


def as_json(document: Any) -> bytes:  # noqa: ANN401 — anything that JSON has
    """Write a document as it goes over the wire."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def json_answer(document: Any, status: int = 200) -> Response:  # noqa: ANN401 — as above
    """Answer with a document."""
    return Response(as_json(document), status, media_type="application/json")
