"""The HTTP server: which path means which call, and how the process starts and ends."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from sandbox.gateway import calls, control
from sandbox.gateway.ledger import Call
from sandbox.gateway.refusals import Refused
from sandbox.gateway.speaking import Version
from sandbox.gateway.v1 import V1
from sandbox.gateway.v2 import V2
from sandbox.gateway.wire import as_json
from sandbox.gateway.world import World

#: A batch of some hundred thousand receipts fits.
LARGEST_BODY_BYTES = 64 * 1024 * 1024
#: How long answers under way may still take when the process is told to end: hanging is what some are for.
GOODBYE_SECONDS = 0.2

PATHS: tuple[tuple[str, str, type[Version], Call], ...] = (
    ("POST", "/request/token", V1, Call.TOKEN),
    ("GET", "/receipt/{receipt_id}", V1, Call.RECEIPT),
    ("POST", "/submit", V1, Call.APPROVE),
    ("POST", "/cancel", V1, Call.CANCEL),
    ("POST", "/v2/request/token", V2, Call.TOKEN),
    ("GET", "/v2/receipt/{receipt_id}", V2, Call.RECEIPT),
    ("POST", "/v2/confirm", V2, Call.APPROVE),
    ("POST", "/v2/cancel", V2, Call.CANCEL),
    ("GET", "/v2/lookup/order/{order_id}", V2, Call.LOOKUP),
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(world: World) -> web.Application:
    """Build the application: both versions, the control routes, and each version's own 404 for the rest."""
    app = web.Application(client_max_size=LARGEST_BODY_BYTES)
    for method, path, version, call in PATHS:
        handler: Handler = partial(calls.answer, world, version(), call)
        app.router.add_route(method, path, handler)
        if "{" not in path:
            app.router.add_route(method, path + calls.JSON_ENDING, handler)
    for method, path, route in control.ROUTES:
        app.router.add_route(method, path, partial(control.answer, route, world))
    app.router.add_route("*", "/v2/{rest:.*}", partial(_no_such_call, V2()))
    app.router.add_route("*", "/{rest:.*}", partial(_no_such_call, V1()))
    return app


async def serve(world: World, host: str, port: int) -> None:
    """Listen, say where, and serve until SIGTERM or SIGINT. OSError when the address can't be had."""
    told_to_end = _told_to_end()
    runner = web.AppRunner(build_app(world), access_log=None, shutdown_timeout=GOODBYE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        print(f"sandbox gateway: http://{host}:{runner.addresses[0][1]}", flush=True)
        await told_to_end.wait()
    finally:
        await runner.cleanup()


def _told_to_end() -> asyncio.Event:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def _no_such_call(version: Version, _request: web.Request) -> web.Response:
    return as_json(version.refusal(Refused.NO_SUCH_CALL))
