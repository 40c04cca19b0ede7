"""`python -m api`: the `web` process."""

import asyncio
import resource
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import structlog
import uvicorn

from api.app import create_app
from api.door import Door
from config import logs
from config.settings import Role, load, stop

log = structlog.get_logger("api")

#: Requests under way take milliseconds, and those who wait are answered at once; only a client that reads or sends
#: very slowly is cut off.
LAST_SECONDS = 3

#: Longer than producers and balancers keep an idle connection (a minute is usual), so that it's they who close it and
#: nobody posts into a connection that ends.
KEEP_ALIVE_SECONDS = 75

#: So many may come in one moment; uvicorn's own number.
BACKLOG = 2048

#: A waiting client is an open file. The usual limit of 1,024 isn't enough for a rush.
MOST_OPEN_FILES = 65_536


class Server(uvicorn.Server):
    """Says where it listens, and answers those who wait, and lets go those who follow, before it closes."""

    def __init__(self, config: uvicorn.Config, door: Door) -> None:
        super().__init__(config)
        self._door = door

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        if self._door.keys.open:
            log.warning("web.open", because="API_KEYS is empty: whoever reaches it may order, and read every result")
        log.info("web.listening", host=host, port=port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door."""
        self._door.waiting.close()
        self._door.following.close()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until told to stop."""
    settings = load(Role.WEB)
    logs.configure(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)  # uvicorn raises the signal again when it is done: that is no crash
    _allow_open_files()
    sockets = _listen(settings.web_host, settings.web_port)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies.split(),
        ws="none",
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LAST_SECONDS,
    )
    asyncio.run(Server(config, app.state.door).serve(sockets))


def _listen(host: str, port: int) -> list[socket.socket]:
    """Listen on each address of the host, or end this process with the reason. Who comes before it is ready waits."""
    try:
        named = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        found = dict.fromkeys(named)  # a name may stand in two lines of /etc/hosts
        return [socket.create_server(where, family=family, backlog=BACKLOG) for family, _, _, _, where in found]
    except (OSError, UnicodeError) as error:  # the latter for a name that there can't be
        where = f"WEB_HOST and WEB_PORT: {host} port {port}"
        stop(f"the environment can't be used:\n  {where} can't be listened on: {getattr(error, 'strerror', error)}")


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
