"""Who sits at the terminal, as the audit names it."""

import getpass
import os


def actor() -> str:
    """`cli:<account name>`; the number of an account without a name, as in some containers."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:{os.getuid()}"
