"""What payconfirm tells the shop by itself: so an order has its outcome even when the buyer has closed the page."""

from collections.abc import Mapping
from typing import Any

from payconfirm.callbacks import CallbackRefused, verify

__all__ = ["PATH", "CallbackRefused", "final_result"]

PATH = "/hooks/payconfirm"


def final_result(body: bytes, headers: Mapping[str, str], secret: str) -> dict[str, Any] | None:
    """Give the final result that a callback brings; None where it brings word of one still to come.

    Raises `CallbackRefused` for what isn't signed with the secret that we share with payconfirm.
    """
    result: dict[str, Any] = verify(body, headers, secret)["data"]
    return result if result["final"] else None
