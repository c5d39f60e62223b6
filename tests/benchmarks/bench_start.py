"""Seconds until something is there: `apprentice --help`, and a new server's first page.

    python -m tests.benchmarks.bench_start [--turns N]

The server starts in an empty data directory with the base model already fetched. The first page is
there when a whole `GET /` has come back; it can answer a question soon after.
"""

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HELP_AIM = 0.5
PAGE_AIM = 10.0


def main() -> int:
    """Measures both and prints the medians; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    from assistant.settings import read_settings
    from storage.models import resolve_base

    models = read_settings().data / "models"
    resolve_base("embedded", models)
    helps = statistics.median(_help() for _ in range(turns))
    pages = statistics.median(_first_page(models.resolve()) for _ in range(turns))
    print(f"--help                {helps:5.2f} s (aim: under {HELP_AIM})")
    print(f"serve to first page   {pages:5.2f} s (aim: under {PAGE_AIM:.0f})")
    return int(helps >= HELP_AIM or pages >= PAGE_AIM)


def _help() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "assistant", "--help"], check=True, capture_output=True)
    return time.perf_counter() - started


def _first_page(models: Path) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        data.mkdir()
        (data / "models").symlink_to(models)
        apprentice = [sys.executable, "-m", "assistant", "--data", str(data)]
        opened = ["workspaces", "set", "default", "access=public"]  # else `/` is a 404 to strangers
        subprocess.run([*apprentice, *opened], check=True, capture_output=True)
        started = time.perf_counter()
        with subprocess.Popen(
            [*apprentice, "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as server:
            assert server.stdout is not None
            try:
                found = re.search(r"http://[^\s,]+", server.stdout.readline())
                if not found:
                    sys.exit("the server did not say where it is")
                urllib.request.urlopen(found[0]).read()
                return time.perf_counter() - started
            finally:
                server.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
