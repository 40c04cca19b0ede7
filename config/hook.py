"""What ORDER_HOOK names, found as the process starts."""

import importlib
import re
import sys
from pathlib import Path

#: What a shop's code says becomes part of a row, a document and a log line.
MOST_CHARACTERS = 300
#: Of it so many are looked at: a transaction is open meanwhile.
_MOST_READ = 10_000

_SECRETS = re.compile(r"(?<=://)[^\s/@]+(?=@)|(?<=password=)\S+", re.IGNORECASE)


def find(named: str) -> object:
    """Import `module:object`, from the working directory too. Raises `ValueError` that says why it can't be."""
    module, _, name = named.partition(":")
    if not (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise ValueError("is module:object, such as shop.orders:hook")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{module} can't be imported: {type(error).__name__}: {plain(str(error))}") from error
    if found is None:
        raise ValueError(f"{module} has no {name}")
    return found


def plain(words: str) -> str:
    """Give the words in one short line that any table, document and terminal can hold, without a password."""
    parts = "".join(c if c.isprintable() else " " for c in words[:_MOST_READ]).split()
    if len(words) > _MOST_READ and len(parts) > 1:  # the last may be half a secret
        parts.pop()
    line = _SECRETS.sub("***", " ".join(parts))
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"
