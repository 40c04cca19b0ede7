"""The example producers as a stranger runs them: a copied folder, the language's own tools, a small environment."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PRODUCERS = ROOT / "examples" / "producers"
#: A build starts a compiler, npm fetches from a registry; a machine that does everything else at once is slow at both.
BUILD_SECONDS, RUN_SECONDS = 100, 60

MONO_LIBRARIES = ("-r:System.Net.Http.dll", "-r:System.Runtime.Serialization.dll")


@dataclass(frozen=True)
class Language:
    """How one language's folder is built and its two programs are run, and what must be there for it."""

    needs: tuple[str, ...]
    order: tuple[str, ...]
    verify: tuple[str, ...]
    build: tuple[tuple[str, ...], ...] = ()
    #: What Debian calls what it needs.
    packages: str = ""

    def missing(self) -> str:
        """Name the tools that aren't here."""
        return ", ".join(tool for tool in self.needs if not shutil.which(tool))


LANGUAGES = {
    "curl": Language(("bash", "curl", "openssl"), ("bash", "order.sh"), ("bash", "verify.sh"), packages="curl openssl"),
    "php": Language(("php",), ("php", "order.php"), ("php", "verify.php"), packages="php-cli"),
    "ruby": Language(("ruby",), ("ruby", "order.rb"), ("ruby", "verify.rb"), packages="ruby"),
    "node": Language(("node",), ("node", "order.js"), ("node", "verify.js"), packages="nodejs"),
    "python": Language((), (sys.executable, "order.py"), (sys.executable, "verify.py")),
    "java": Language(
        ("java", "javac"),
        ("java", "Order"),
        ("java", "Verify"),
        build=(("javac", "-Xlint:all,-serial", "-Werror", "Json.java", "Order.java", "Verify.java"),),
        packages="default-jdk-headless",
    ),
    "go": Language(
        ("go",),
        ("bin/order",),
        ("bin/verify",),
        build=(("go", "vet", "./..."), ("go", "build", "-o", "bin/", "./...")),
        packages="golang-go",
    ),
    "csharp": Language(
        ("mcs", "mono"),
        ("mono", "Order.exe"),
        ("mono", "Verify.exe"),
        build=tuple(("mcs", "-warnaserror", *MONO_LIBRARIES, each) for each in ("Order.cs", "Verify.cs")),
        packages="mono-mcs libmono-system-net-http4.0-cil libmono-system-runtime-serialization4.0-cil",
    ),
}


@dataclass(frozen=True)
class Ended:
    """What a program left."""

    code: int
    out: str
    complaints: str

    def __str__(self) -> str:
        return f"ended with {self.code}:\n{self.out}{self.complaints}"


class Folders:
    """Copies of the languages' folders, each built once."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._built: dict[str, Path] = {}

    def of(self, name: str) -> Path:
        """Give the built copy, or skip the test where the language isn't here."""
        language = LANGUAGES[name]
        if missing := language.missing():
            pytest.skip(f"{name} was not run: {missing} isn't here (Debian: {language.packages})")
        if name not in self._built:
            folder = self.copy(name)
            for command in language.build:
                run(command, folder, {}, seconds=BUILD_SECONDS, home=os.environ["HOME"], ends_with=0)
            self._built[name] = folder
        return self._built[name]

    def of_celery_node(self) -> Path:
        """Give a copy of Node's folder with its package in it, or skip the test where npm or its registry isn't."""
        if not (shutil.which("node") and shutil.which("npm")):
            pytest.skip("node by celery-node was not run: npm isn't here (Debian: npm)")
        if "celery-node" not in self._built:
            folder = self.copy("node", "celery-node")
            install = ("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
            self._installed = run(install, folder, {}, seconds=BUILD_SECONDS, home=os.environ["HOME"])
            self._built["celery-node"] = folder
        if self._installed.code:
            pytest.skip(f"node by celery-node was not run: `npm ci` {self._installed}")
        return self._built["celery-node"]

    def copy(self, name: str, to: str | None = None) -> Path:
        """Copy a folder as it is committed, without what somebody built in it."""
        built = shutil.ignore_patterns("node_modules", "__pycache__", "*.class", "*.exe", "bin")
        return Path(shutil.copytree(PRODUCERS / name, self._where / (to or name), ignore=built))


def run(
    command: tuple[str, ...],
    folder: Path,
    variables: dict[str, str],
    *,
    given: bytes = b"",
    seconds: float = RUN_SECONDS,
    home: str | None = None,
    ends_with: int | None = None,
) -> Ended:
    """Run a program to its end, with nothing of ours around it."""
    environment = {"PATH": os.environ["PATH"], "HOME": home or str(folder), "LANG": "C.UTF-8", **variables}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=given, capture_output=True, timeout=seconds, check=False
    )
    ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert ends_with in (None, ended.code), f"{' '.join(command)} {ended}"
    return ended
