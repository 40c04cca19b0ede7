"""`python -m sandbox gateway` and `python -m sandbox.gateway`: start the gateway from the command line."""

import argparse
import asyncio
import os
import sys

from sandbox.gateway.server import serve
from sandbox.gateway.tokens import Keys
from sandbox.gateway.world import Latency, World

#: The keys that the gateway accepts unless told otherwise. They open nothing but this program.
SANDBOX_KEYS = {
    "application_id": "sandbox-application",
    "private_key": "sandbox-private",
    "client_key": "sandbox-client",
    "secret_key": "sandbox-secret",
}
#: What a program ends with that couldn't begin.
EXIT_USAGE = 2


def main(argv: list[str]) -> int:
    """Serve until told to end; 0 then, 2 when it can't listen where it should."""
    options = _parser().parse_args(argv)
    keys = Keys(**{name: getattr(options, name) for name in SANDBOX_KEYS})
    latency = Latency(options.latency_lookup, options.latency_approve)
    try:
        asyncio.run(serve(World(keys, latency), options.host, options.port))
    except OSError as error:
        reason = error.strerror or error
        print(f"sandbox gateway: can't listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
        return EXIT_USAGE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox gateway", description="A Bootpay-compatible gateway.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0 picks a free one")
    parser.add_argument("--latency-lookup", type=seconds, default=0.0, metavar="S", help="seconds a look-up takes")
    parser.add_argument(
        "--latency-approve", type=seconds, default=0.0, metavar="S", help="seconds an approval or a cancel takes"
    )
    for name, value in SANDBOX_KEYS.items():
        variable = f"BOOTPAY_{name.upper()}"
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=os.environ.get(variable) or value, help=f"default: {variable}, or {value}")
    return parser


def seconds(text: str) -> float:
    """Read a length of time; argparse names this function to whoever gives it nonsense."""
    length = float(text)
    if not 0 <= length < float("inf"):
        raise ValueError(text)
    return length


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
