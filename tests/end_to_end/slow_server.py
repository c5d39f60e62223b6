"""`apprentice serve` with answers that go on until somebody stops them, as a process of its own."""

import sys

from assistant import app
from assistant.cli import main
from tests.assistant.slow_engine import SlowApp

if __name__ == "__main__":
    app.App = SlowApp  # type: ignore[misc]
    sys.exit(main(sys.argv[1:]))
