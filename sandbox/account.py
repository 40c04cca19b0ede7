"""Under which account PostgreSQL runs: it refuses to be root, and root must not have to prepare anything for it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.binaries import Program, ServerProblem

#: Notes in the state folder where nobody's files lie. They can't lie beside it: it may be inside root's private home.
OUTSIDE_NOTE = "outside"


@dataclass(frozen=True)
class Account:
    """How to start a program so that it isn't root: in front of its command, or by another user id."""

    words: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    @property
    def is_nobody(self) -> bool:
        """Whether files must be given to another user, and lie where that user can reach them."""
        return self.user is not None

    def options(self) -> dict[str, Any]:
        """What `subprocess` needs to start something under this account."""
        if not self.is_nobody:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Make this account the owner of a file or folder."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def run(self, command: Sequence[str], *, sent: str = "") -> None:
        """Run a command to its end; what it said on the way becomes the message when it fails."""
        done = subprocess.run(
            [*self.words, *command],
            input=sent,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=clean_environment(),
            **self.options(),
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ServerProblem(f"{Path(command[0]).name} ended with {done.returncode}: {' / '.join(said[-3:])}")


ITSELF = Account()
#: A user namespace without a map: the program sees an ordinary user id, the files stay root's, nothing needs a copy.
USER_NAMESPACE = Account(words=("unshare", "-U"))


def choose_account() -> Account:
    """Choose the account for PostgreSQL: our own unless we are root."""
    if os.geteuid() != 0:
        return ITSELF
    if _user_namespaces_work():
        return USER_NAMESPACE
    nobody = pwd.getpwnam("nobody")
    return Account(user=nobody.pw_uid, group=nobody.pw_gid)


def home_for(account: Account, folder: Path) -> Path:
    """Give the folder in which this account can keep its files: the state folder, or for nobody one outside it."""
    if not account.is_nobody:
        return folder
    note = folder / OUTSIDE_NOTE
    if note.exists() and (kept := Path(note.read_text())).is_dir():
        return kept
    home = Path(tempfile.mkdtemp(prefix="payconfirm-", dir="/var/tmp"))
    home.chmod(0o711)  # ours, so that nobody can plant a link in it; passable, so that it reaches its data
    note.write_text(str(home))
    return home


def forget_outside(folder: Path) -> None:
    """Remove what nobody kept outside the state folder."""
    note = folder / OUTSIDE_NOTE
    if note.exists():
        shutil.rmtree(note.read_text(), ignore_errors=True)
        note.unlink()


def reachable_bin(program: Program, account: Account, home: Path) -> Path:
    """Give a folder from which the account can run the program: a copy when it can't reach the original."""
    original = program.path.parent
    if not account.is_nobody or _runs(program.path, account):
        return original
    # The programs find their library by a path relative to their own, so both are copied, in their places.
    package = original.parent.parent
    copy = home / "programs"
    shutil.rmtree(copy, ignore_errors=True)
    installed = copy / package.name / original.parent.name
    shutil.copytree(original.parent, installed, symlinks=True, ignore=shutil.ignore_patterns("include"))
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    return installed / original.name


def clean_environment() -> dict[str, str]:
    """Give our environment with messages in English and without PG*, which would aim programs at another server."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return ours | {"LC_ALL": "C"}


def _user_namespaces_work() -> bool:
    try:
        return subprocess.run(["unshare", "-U", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _runs(path: Path, account: Account) -> bool:
    command = [*account.words, str(path), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, cwd="/", **account.options())
    except PermissionError:
        return False
    return done.returncode == 0
