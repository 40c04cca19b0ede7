"""The shop's own code, named by ORDER_HOOK: found at start; whatever it raises when called becomes one of two words."""

import inspect
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from config.hook import find, plain
from confirmation.errors import HookFailed, HookRefused
from confirmation.hooks import MAY_REFUSE, Method
from payconfirm import Refuse
from worker.store.engine import first_line


class HookUnusable(Exception):
    """ORDER_HOOK names nothing that can be called; the message says why."""


class ShopHook:
    """See `confirmation.hooks.Hook` for what each method promises."""

    def __init__(self, hook: object) -> None:
        self._methods: dict[str, Any] = {
            method: getattr(hook, method) for method in Method if getattr(hook, method, None) is not None
        }
        if not self._methods:
            raise HookUnusable(f"has none of {', '.join(Method)}")
        for name, method in self._methods.items():
            _check(name, method)

    def has(self, method: Method) -> bool:
        """Say whether the shop has a part in such a commit."""
        return method in self._methods

    def call(self, method: Method, connection: Any, order: dict[str, Any]) -> None:  # noqa: ANN401 — as the port
        """Let the shop write its part. Whatever it raises: what ends a thread would keep its message for ever."""
        try:
            result = self._methods[method](connection, order)
        except Refuse as refused:
            if method in MAY_REFUSE:
                raise HookRefused(_words(refused)) from refused
            raise HookFailed(f"{method} may not refuse: {_words(refused)}") from refused
        except BaseException as error:
            raise HookFailed(f"{method}: {_describe(error)}") from error
        if _is_unrun(result):
            raise HookFailed(f"{method} gave back a {type(result).__name__}: its code never ran")


def load(named: str) -> ShopHook:
    """Find `module:object`. Raises `HookUnusable`."""
    try:
        return ShopHook(find(named))
    except ValueError as why:
        raise HookUnusable(str(why)) from why
    except HookUnusable as why:
        raise HookUnusable(f"{named} {why}") from None


def _check(name: str, method: object) -> None:
    if not callable(method):
        raise HookUnusable(f"has a {name} that can't be called")
    code = method if inspect.isroutine(method) or isinstance(method, partial) else type(method).__call__
    if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
        raise HookUnusable(f"has a {name} that is async: it would never run")
    if inspect.isgeneratorfunction(code):
        raise HookUnusable(f"has a {name} that yields: it would never run")
    try:
        inspect.signature(method).bind(None, {})
    except TypeError:
        raise HookUnusable(f"has a {name} that doesn't take (connection, order)") from None
    except ValueError:  # written in C: nobody knows what it takes
        return


def _is_unrun(result: object) -> bool:
    """Whether it is code that waits to be run. A coroutine is closed, or Python would complain of it."""
    if inspect.iscoroutine(result):
        result.close()
    return inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result)


def _words(error: BaseException) -> str:
    """What it says; nothing where saying that fails, too."""
    try:
        return plain(first_line(error) if isinstance(error, DBAPIError) else str(error))
    except BaseException:  # noqa: BLE001 — the shop's own code, as above
        return ""


def _describe(error: BaseException) -> str:
    """The error, and the line of the shop's method that raised it."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    words = ": ".join(filter(None, (type(said).__name__, _words(error))))
    theirs = error.__traceback__.tb_next if error.__traceback__ else None
    return f"{words} ({Path(theirs.tb_frame.f_code.co_filename).name}:{theirs.tb_lineno})" if theirs else words
