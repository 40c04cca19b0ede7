"""The private PostgreSQL: its data folder, its password, and how to ask whether it is ready without a driver."""

import secrets
import shutil
import signal
import socket
import struct
from pathlib import Path

from sandbox.account import Account, reachable_bin
from sandbox.binaries import Program, ServerProblem
from sandbox.server import Server, end_orphan

USER = "payconfirm"
DATABASE = "payconfirm"
PROBE_SECONDS = 0.5
#: A dozen processes of eight connections each, twice over.
CONNECTIONS = 200
#: Before this version there is no locale of PostgreSQL's own, and plain C leaves letters beyond ASCII in their case.
BUILTIN_LOCALE_SINCE = 17
PROTOCOL_3 = 3 << 16


class Postgres(Server):
    """A PostgreSQL of our own, with one database, on the loopback address."""

    name = "postgres"
    stop_signal = signal.SIGINT  # the fast shutdown: ends sessions instead of waiting for them

    def __init__(self, program: Program, account: Account, home: Path, *, durable: bool) -> None:
        super().__init__(program, account, home)
        self.durable = durable
        self.data = home / "postgres"
        self.bin = reachable_bin(program, account, home)
        self._password_file = home / "postgres.password"

    @property
    def url(self) -> str:
        """The address of the database."""
        return f"postgresql://{USER}:{self._password_file.read_text()}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def psql(self) -> Path | None:
        """The command line client that came with the server, if one did."""
        psql = self.program.path.parent / "psql"
        return psql if psql.exists() else None

    def prepare(self) -> None:
        """Make the data folder on the first start; refuse one of another major version."""
        end_orphan(self.data / "postmaster.pid", self.stop_signal)
        kept = self.data / "PG_VERSION"
        if not kept.exists():
            self._initialise()
        elif (version := kept.read_text().strip()) != str(self.program.major):
            raise ServerProblem(
                f"{self.data} was written by PostgreSQL {version}, this is {self.program}: "
                f"`make clean` starts anew (the data is lost), or set DEV_PG_BIN to a PostgreSQL {version}"
            )

    def command(self) -> list[str]:
        """Run in the foreground; TCP only, since a socket's path must be shorter than a deep checkout's."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_connections": CONNECTIONS,
            # In the data folder, so that a killed server leaves nothing in /dev/shm.
            "dynamic_shared_memory_type": "mmap",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.data), *options]

    def answers(self) -> bool:
        """Knock as a client would: a server that is ready asks for a password (R), another answers an error (E)."""
        words = b"".join(word.encode() + b"\0" for word in ("user", USER, "database", DATABASE)) + b"\0"
        with socket.create_connection(("127.0.0.1", self.port), timeout=PROBE_SECONDS) as connection:
            connection.sendall(struct.pack("!ii", len(words) + 8, PROTOCOL_3) + words)
            return connection.recv(1) == b"R"

    def _initialise(self) -> None:
        """Make the folder beside its place and move it there when complete, so that no half of one is ever met."""
        unfinished = self.home / "postgres.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self.account.own(unfinished)
        self._choose_password()
        self.account.run([str(self.bin / "initdb"), "-D", str(unfinished), *self._initdb_options()])
        single = [str(self.bin / "postgres"), "--single", "-D", str(unfinished), "-c", "fsync=off", "postgres"]
        self.account.run(single, sent=f"CREATE DATABASE {DATABASE};\n")
        unfinished.rename(self.data)

    def _initdb_options(self) -> list[str]:
        options = ["-U", USER, "-E", "UTF8", "-A", "scram-sha-256", f"--pwfile={self._password_file}", "--locale=C"]
        if self.program.major >= BUILTIN_LOCALE_SINCE:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # An empty cluster is soon made anew; waiting for a busy disk to take its thousand files can last five seconds.
        return [*options, "--no-sync"]

    def _choose_password(self) -> None:
        self._password_file.unlink(missing_ok=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_hex(16))
        self.account.own(self._password_file)
