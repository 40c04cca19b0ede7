"""One program of the house: run without a shell, with a log of its own, and unable to outlive us."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from sandbox.demo.interrupts import heed

ROOT = Path(__file__).parents[2]
#: A cold start of Python on a machine that is busy with everything else.
READY_SECONDS = 60
#: A worker gives back what it holds and waits for its threads; whoever takes longer is killed.
GOODBYE_SECONDS = 15
POLL_SECONDS = 0.02
#: How much of a dead program's log is shown.
LAST_LINES = 12


class HouseProblem(Exception):
    """A program ended that should have stayed, or didn't become ready; the message ends with its last words."""


class Program:
    """A program that stays up until it is stopped."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._lives = 0
        self._command = [*_dies_with_us(), *command]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Its log. One that was started again has another, so that the last words of the dead one can still be read."""
        return self._folder / (f"{self.name}.log" if self._lives < 2 else f"{self.name}-{self._lives}.log")

    @property
    def said(self) -> str:
        """Everything in its log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C must reach us first, so that the order of stopping is ours."""
        self._lives += 1
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, sign: Callable[[str], str | None]) -> str:
        """Return what `sign` finds in the log once it finds something, or raise `HouseProblem`."""
        deadline = time.monotonic() + READY_SECONDS
        while not (found := sign(self.said)):
            heed()
            self.check()
            if time.monotonic() > deadline:
                raise HouseProblem(self._last_words(f"isn't ready after {READY_SECONDS} s"))
            time.sleep(POLL_SECONDS)
        return found

    def check(self) -> None:
        """Raise `HouseProblem` if it has ended."""
        code = self._process.poll() if self._process else None
        if code is not None:
            raise HouseProblem(self._last_words(f"ended by itself with {code}"))

    def send(self, number: signal.Signals) -> None:
        """Send it a signal. Nothing happens when it has ended."""
        if self._process:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would. It then counts as not started, not as ended by itself."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()

    def tell_to_end(self) -> None:
        """Ask it to finish what it does and end."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)  # one that was stopped would never hear of it

    def wait_for_end(self) -> None:
        """Wait until it has ended; kill it when it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self, what: str) -> str:
        lines = "\n".join(self.said.splitlines()[-LAST_LINES:]) or "(it said nothing)"
        return f"{self.name} {what}; the end of {self.log}:\n{lines}"


def run_to_its_end(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> tuple[int, str, str]:
    """Run a command and return its exit code and what it printed.

    Killed after so many seconds, which is a `HouseProblem`, and when we are interrupted.
    """
    deadline = time.monotonic() + seconds
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=pipe, stderr=pipe) as process:
        try:
            while True:
                heed()
                with suppress(subprocess.TimeoutExpired):
                    out, complaints = process.communicate(timeout=POLL_SECONDS)
                    return process.returncode, out, complaints
                if time.monotonic() > deadline:
                    raise HouseProblem(f"`{' '.join(command)}` takes longer than {seconds:.0f} s")
        finally:
            process.kill()  # nothing happens to one that has ended


def stop(programs: Sequence[Program]) -> None:
    """End these programs, all at once."""
    for program in programs:
        program.tell_to_end()
    for program in programs:
        program.wait_for_end()


def read_procfile() -> dict[str, list[str]]:
    """Read the Procfile's lines as commands."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    named = (line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
    return {name.strip(): shlex.split(command) for name, command in named}


def programs_first(environment: Mapping[str, str]) -> dict[str, str]:
    """Put this Python's own programs first in PATH, so that the Procfile's lines run in `.venv`."""
    return {**environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"}


@cache
def _dies_with_us() -> tuple[str, ...]:
    """Put in front of a command, this kills the program when we die without stopping it (Linux only)."""
    if sys.platform != "linux" or shutil.which("setpriv") is None:
        return ()
    words = ("setpriv", "--pdeathsig", signal.SIGKILL.name.removeprefix("SIG"))
    works = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if works else ()
