"""A shop's hook for tests: it keeps what it is called with, and does as it is told."""

from collections.abc import Callable
from typing import Any

from confirmation.hooks import Method
from worker.hook import ShopHook


class Shop:
    """The four methods, each of which does what `does` has for it."""

    def __init__(self, **does: Callable[[Any, dict[str, Any]], object]) -> None:
        self.does = does
        self.calls: list[tuple[str, dict[str, Any]]] = []

    @property
    def called(self) -> list[str]:
        """The methods that were called, in order."""
        return [name for name, _ in self.calls]

    def _call(self, name, connection, order):
        self.calls.append((name, dict(order)))
        if name in self.does:
            self.does[name](connection, order)

    def on_reserve(self, connection, order):
        self._call("on_reserve", connection, order)

    def on_commit(self, connection, order):
        self._call("on_commit", connection, order)

    def on_release(self, connection, order):
        self._call("on_release", connection, order)

    def on_void(self, connection, order):
        self._call("on_void", connection, order)

    def hook(self, *only: Method) -> ShopHook:
        """As the store gets it; with these methods only, if any are named."""
        if not only:
            return ShopHook(self)
        return ShopHook(type("Part", (), {name: staticmethod(getattr(self, name)) for name in only}))


def raises(error: BaseException) -> Callable[[Any, dict[str, Any]], object]:
    """Something to do: raise this."""

    def raise_it(connection, order):
        del connection, order
        raise error

    return raise_it
