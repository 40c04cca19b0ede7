"""Who is on duty."""

import getpass
import os
import platform


def who() -> str:
    """The person at this machine, as far as it knows."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        name = f"user {os.getuid()}"
    return f"{name}@{platform.node() or 'unknown host'}"
