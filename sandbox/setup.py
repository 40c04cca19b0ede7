"""Builds `.venv` from the lock file when it must be, then runs a command in it: `python3 -m sandbox.setup [command…]`.

It runs on the machine's own python3, so it imports nothing but the standard library, and its syntax is old enough for
an old python3 to read it and say what is missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence  # noqa: UP035 - collections.abc's can't be subscripted on an old python3

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
NEWER_NAMES = ("python3.13", "python3.12", "python3.11", "python3.14")
#: Installs the lock file in one second where pip takes ten.
UV = "uv==0.13.9"
CANNOT_GO_ON = 2


class Missing(Exception):
    """Something that we can't get ourselves; the message says what, and how to get it."""


class Failed(Exception):
    """A program ended badly; the message is the last thing it said."""


class Venv:
    """The virtual environment of one checkout, and the stamp in it that says what it was made from."""

    def __init__(self, root: Path) -> None:
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self.requirements = root / "requirements-dev.txt"
        self._stamp = self.folder / "payconfirm.stamp"

    def is_current(self) -> bool:
        """Say whether it was made from this lock file, by this Python, in this place."""
        return self.is_ours() and self._stamped()[-1] == self._wanted()[-1]

    def is_ours(self) -> bool:
        """Say whether it was completed by this Python in this place, so that it can be brought up to date."""
        return os.access(str(self.python), os.X_OK) and self._stamped()[:-1] == self._wanted()[:-1]

    def mark(self) -> None:
        """Note what it was made from. Last of all: what was interrupted has no stamp."""
        self._stamp.write_text("\n".join(self._wanted()))

    def unmark(self) -> None:
        """Take the stamp off before anything is changed."""
        if self._stamp.exists():
            self._stamp.unlink()

    def _stamped(self) -> list[str]:
        try:
            return self._stamp.read_text().split("\n")
        except OSError:
            return [""]

    def _wanted(self) -> list[str]:
        # The place counts because the programs in bin/ name their interpreter by its full path.
        digest = hashlib.sha256(self.requirements.read_bytes()).hexdigest()
        return [platform.python_version(), str(self.folder), digest]


def main(command: Sequence[str]) -> int:
    """Bring `.venv` up to date, then become the command, if there is one."""
    try:
        require_python(command)
        set_up(ROOT)
        if command:
            enter(Venv(ROOT), command)
    except (Missing, OSError) as problem:
        print(f"setup: {problem}", file=sys.stderr)
        return CANNOT_GO_ON
    return 0


def require_python(command: Sequence[str]) -> None:
    """Go on with a newer Python of this machine when python3 is too old."""
    if sys.version_info >= OLDEST:
        return
    for name in NEWER_NAMES:
        newer = shutil.which(name)
        # A pyenv shim is on PATH for every version, and works for some.
        if newer and subprocess.run([newer, "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            os.execv(newer, [newer, "-m", "sandbox.setup", *command])  # noqa: S606 - no shell wanted
    raise Missing(
        f"Python 3.11 or newer is needed, python3 is {platform.python_version()}: install python3.11 or newer "
        "(Debian 12, Ubuntu 24.04: apt-get install python3)"
    )


def set_up(root: Path) -> None:
    """Build or update the checkout's `.venv` unless it is current; one at a time."""
    venv = Venv(root)
    if venv.is_current():
        return
    with _alone(root):
        if not venv.is_current():
            _build(venv)


def enter(venv: Venv, command: Sequence[str]) -> None:
    """Become the command, with the programs of `.venv` first."""
    environment = dict(os.environ, VIRTUAL_ENV=str(venv.folder))
    environment["PATH"] = os.pathsep.join([str(venv.python.parent), os.environ.get("PATH", os.defpath)])
    environment.pop("PYTHONHOME", None)
    sys.stdout.flush()
    os.execvpe(command[0], list(command), environment)  # noqa: S606 - no shell wanted


def _build(venv: Venv) -> None:
    fresh = not venv.is_ours()
    venv.unmark()
    said = ""
    for way in (_with_uv_of_path, _with_uv_from_pip, _with_pip):
        try:
            if way(venv, fresh):
                venv.mark()
                _say("done")
                return
        except Failed as failed:
            said = str(failed)
            _say(f"that didn't work: {said}")
            fresh = True
    raise Missing(f"{venv.requirements.name} can't be installed, is the package index within reach? {said}")


def _with_uv_of_path(venv: Venv, fresh: bool) -> bool:  # noqa: FBT001 - the three ways share one shape
    uv = shutil.which("uv")
    if uv is None:
        return False
    if fresh:
        _say(f"making .venv with {uv}, Python {platform.python_version()}")
        _run([uv, "venv", "--clear", "--python", sys.executable, str(venv.folder)])
    _sync(uv, venv)
    return True


def _with_uv_from_pip(venv: Venv, fresh: bool) -> bool:  # noqa: FBT001
    _with_venv(venv, fresh)
    uv = venv.python.parent / "uv"
    if not uv.exists():
        _say(f"installing {UV} into .venv")
        _run([str(venv.python), "-m", "pip", "install", "--quiet", UV])
    _sync(str(uv), venv)
    return True


def _with_pip(venv: Venv, fresh: bool) -> bool:  # noqa: FBT001
    _with_venv(venv, fresh)
    _say(f"installing {venv.requirements.name} with pip")
    _run([str(venv.python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(venv.requirements)])
    return True


def _with_venv(venv: Venv, fresh: bool) -> None:  # noqa: FBT001
    if not fresh:
        return
    _require_ensurepip()
    _say(f"making .venv with Python {platform.python_version()}")
    _run([sys.executable, "-m", "venv", "--clear", str(venv.folder)])


def _sync(uv: str, venv: Venv) -> None:
    _say(f"installing {venv.requirements.name} with uv")
    _run([uv, "pip", "sync", "--require-hashes", "--python", str(venv.python), str(venv.requirements)])


def _require_ensurepip() -> None:
    """Debian's python3 comes without ensurepip, and so without a way to make a virtual environment."""
    if importlib.util.find_spec("ensurepip") is not None:
        return
    package = _venv_package()
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(f"this Python has no ensurepip: sudo apt-get install {package} (or your system's package for it)")
    _say(f"installing {package} with apt-get, since this Python has no ensurepip")
    try:
        _run(["apt-get", "update"])
        _run(["apt-get", "install", "-y", "--no-install-recommends", package])
    except Failed as failed:
        raise Missing(f"{package} can't be installed: {failed}") from failed
    importlib.invalidate_caches()


def _venv_package() -> str:
    default = Path("/usr/bin/python3")
    if default.exists() and default.resolve() == Path(sys.executable).resolve():
        return "python3-venv"
    return "python{}.{}-venv".format(*sys.version_info)


def _run(command: list[str]) -> None:
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        said = done.stdout.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failed(f"{Path(command[0]).name}: {said[-1].strip()}")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    state = root / ".state"
    state.mkdir(mode=0o700, exist_ok=True)
    with (state / "setup.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another setup of this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    print(f"setup: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
