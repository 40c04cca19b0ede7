"""`python -m sandbox gateway|servers|shop|demo|simulate`: one machine's own copy of everything outside."""

import importlib
import sys

PROGRAMS = {
    "gateway": "sandbox.gateway.__main__:main",
    "servers": "sandbox.servers:main",
    "shop": "sandbox.shop.command:main",
    "demo": "sandbox.demo:main",
    "simulate": "sandbox.simulate:main",
}
WRONG_USAGE = 2


def main(argv: list[str]) -> int:
    """Run the named program with the rest of the words."""
    if not argv or argv[0] not in PROGRAMS:
        print(f"usage: python -m sandbox {'|'.join(PROGRAMS)} [--help]", file=sys.stderr)
        return WRONG_USAGE
    module, function = PROGRAMS[argv[0]].split(":")
    return int(getattr(importlib.import_module(module), function)(argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
