"""One server process: started so that it can't outlive us, waited for, stopped, killed, and started again."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from sandbox.account import Account, clean_environment
from sandbox.binaries import Program, ServerProblem

#: Above the ports of everyday services, below those that the kernel hands to outgoing connections (32768 on Linux):
#: so a client that tries again and again can't sit on a server's port while that server is down.
PORTS = range(15_000, 32_000)
READY_SECONDS = 60  # recovery after a crash is the longest; a usual start takes a tenth of a second
STOP_SECONDS = 20  # a fast shutdown writes a checkpoint
ATTEMPTS = 5
POLL_SECONDS = 0.01
#: Both pass by themselves: a port taken between our look and the server's, and the last children of a killed server.
PASSING = ("Address already in use", "is still in use")

#: PDEATHSIG follows the thread that started the process, not the process: this one lives as long as we do.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-spawner")


class Server(ABC):
    """A private server on the loopback address. A restart keeps its port."""

    name: str
    stop_signal: signal.Signals

    def __init__(self, program: Program, account: Account, home: Path) -> None:
        self.program = program
        self.account = account
        self.home = home
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._has_run = False

    @property
    def pid(self) -> int:
        """The process's id. Asking for it while nothing runs is an error."""
        if self._process is None or self._process.poll() is not None:
            raise ServerProblem(f"{self.name} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        """The file that the server writes to."""
        return self.home / f"{self.name}.log"

    def start(self) -> None:
        """Start the server and return once it answers. Nothing happens when it runs already."""
        if self.is_running:
            return
        self.prepare()
        for _ in range(ATTEMPTS):
            said_before = self.log.stat().st_size if self.log.exists() else 0
            self._process = _SPAWNER.submit(self._spawn).result()
            if self._becomes_ready():
                self._has_run = True
                return
            said = self.log.read_bytes()[said_before:].decode(errors="replace").strip()
            if not any(passing in said for passing in PASSING):
                break
            self._step_aside()
        last = said.splitlines()[-1:] or ["it said nothing"]
        raise ServerProblem(f"{self.program} doesn't start: {last[0]} (see {self.log})")

    def stop(self) -> None:
        """Let the server finish and end. Nothing happens when it doesn't run."""
        if self._process is None or not self.is_running:
            return
        self._process.send_signal(self.stop_signal)
        self._process.send_signal(signal.SIGCONT)  # a test may have frozen it
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server at once, as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @abstractmethod
    def prepare(self) -> None:
        """Make everything ready for the process to start."""

    @abstractmethod
    def command(self) -> list[str]:
        """Say how the process is started, under its account."""

    @abstractmethod
    def answers(self) -> bool:
        """Ask the server whether it takes work now; raises OSError or says False while it doesn't."""

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*_dies_with_us(self.stop_signal), *self.account.words, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=clean_environment(),
                start_new_session=True,  # Ctrl-C must reach us first, so that the order of stopping is ours
                **self.account.options(),
            )

    def _becomes_ready(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.answers():
                    return self.is_running
            except OSError:
                pass
            if not self.is_running:
                return False
            time.sleep(POLL_SECONDS)
        self.kill()
        return False

    def _step_aside(self) -> None:
        if self._has_run:
            time.sleep(0.2)  # its address is known to others by now: wait for it
        else:
            self.port = free_port()
            self.prepare()


def free_port() -> int:
    """Find a loopback port that nobody listens on."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerProblem(f"no free port on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")


def end_orphan(pid_file: Path, stop_signal: signal.Signals) -> None:
    """End a server that outlived its launcher, or remove the pid file of one that is gone.

    After a restart of the machine the number in the file may belong to any program: only one whose command line
    names the folder is ours.
    """
    try:
        pid = int(pid_file.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    ours = str(pid_file.parent)
    if ours in _command_line(pid):
        os.kill(pid, stop_signal)
    deadline = time.monotonic() + STOP_SECONDS
    while ours in _command_line(pid):
        if time.monotonic() > deadline:
            raise ServerProblem(f"process {pid} still holds {ours}: end it with `kill {pid}`")
        time.sleep(POLL_SECONDS)
    pid_file.unlink(missing_ok=True)


def _command_line(pid: int) -> str:
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


@cache
def _dies_with_us(stop_signal: signal.Signals) -> tuple[str, ...]:
    """Put in front of a command, this stops the process when we die without stopping it (Linux only)."""
    if sys.platform != "linux" or shutil.which("setpriv") is None:
        return ()
    words = ("setpriv", "--pdeathsig", stop_signal.name.removeprefix("SIG"))
    works = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if works else ()
