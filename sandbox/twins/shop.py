"""A shop whose own tables take part in the commits."""

from collections import defaultdict
from typing import Any

from confirmation.hooks import Method


class TwinShop:
    """A `confirmation.hooks.Hook` that keeps what was called for each receipt, in order."""

    def __init__(self) -> None:
        self.calls: defaultdict[str, list[Method]] = defaultdict(list)

    def has(self, method: Method) -> bool:
        """Take part in every commit that has a method."""
        del method
        return True

    def call(self, method: Method, connection: Any, order: dict[str, Any]) -> None:  # noqa: ANN401 - there is none
        """Keep that it was called. Nothing of the commit fails after this, so nothing has to be undone."""
        del connection
        self.calls[order["receipt_id"]].append(method)
