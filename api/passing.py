"""What every answer has: headers that keep browsers and caches from making anything of it; and it is counted."""

from collections.abc import MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"}


class Requests:
    """Counts the requests of this process, by route and status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counter = Counter(
            "payconfirm_http_requests",
            "Requests answered by this process.",
            ["method", "route", "status"],
            registry=self.registry,
        )

    def count(self, scope: MutableMapping[str, Any], status: int) -> None:
        """Count one. What was asked for is never a label: there would be one for each receipt."""
        route = getattr(scope.get("route"), "path_format", None) or getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._counter.labels(method, route, str(status)).inc()


class Passing:
    """Passes a request on, and its answer back."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers that the answer doesn't have already, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                self._requests.count(scope, message["status"])
            await send(message)

        await self._app(scope, receive, sending)
