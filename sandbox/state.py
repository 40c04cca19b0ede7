"""The state folder: one launcher at a time, and a note of where its servers are reached."""

import fcntl
import os
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.binaries import ServerProblem


@dataclass(frozen=True)
class Addresses:
    """Where the two servers are reached, passwords included."""

    database_url: str
    redis_url: str

    def __str__(self) -> str:
        """Lines that a shell can read as variables."""
        return f"DATABASE_URL={self.database_url}\nREDIS_URL={self.redis_url}"


class AlreadyRunning(ServerProblem):
    """Somebody else runs the servers of this folder; `addresses` is None while they are still starting."""

    def __init__(self, folder: Path) -> None:
        self.addresses = read_note(folder)
        if self.addresses is None:
            super().__init__(f"already starting in {folder}")
            return
        postgres, redis = (urlsplit(url).netloc.split("@")[-1] for url in vars(self.addresses).values())
        super().__init__(f"already running at {postgres} (PostgreSQL) and {redis} (Redis); URLs in {_note(folder)}")


def lock(folder: Path) -> TextIOWrapper:
    """Take the folder for this process, until the file is closed or the process ends; or raise `AlreadyRunning`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = (folder / "lock").open("a")
    except PermissionError as error:
        raise ServerProblem(f"{folder} belongs to another user: run as that user, or remove the folder") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise AlreadyRunning(folder) from None
    return held


def write_note(folder: Path, addresses: Addresses) -> None:
    """Note the addresses, for this user's eyes only."""
    forget_note(folder)
    with os.fdopen(os.open(_note(folder), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as note:
        note.write(f"{addresses}\n")


def read_note(folder: Path) -> Addresses | None:
    """Read the addresses of the servers that run in a folder."""
    try:
        lines = _note(folder).read_text().splitlines()
    except OSError:
        return None
    urls = dict(line.split("=", 1) for line in lines)
    return Addresses(urls["DATABASE_URL"], urls["REDIS_URL"]) if len(urls) == 2 else None


def forget_note(folder: Path) -> None:
    """Remove the note: nothing runs here any more."""
    _note(folder).unlink(missing_ok=True)


def _note(folder: Path) -> Path:
    return folder / "servers.env"
