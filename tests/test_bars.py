"""The table of bars, as a run with and without workers prints it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = """
import pytest

def test_first(record_property):
    record_property("bar", "B1")
    record_property("trials", 30)
    record_property("failures", 2)

@pytest.mark.parametrize("number", range(4))
def test_second(tried, number):
    tried("B2", 5)
    tried("B3")
    assert number != 3

def test_none():
    pass
"""


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_trials_and_failures_are_added_up(tmp_path, workers):
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import pytest_terminal_summary, tried\n"
    )
    options = ["-p", "no:cacheprovider", "-q", *workers, str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(tmp_path), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    found = {line.split()[0]: line.split()[-2:] for line in ran.stdout.splitlines() if line.strip()}
    assert found["B1"] == ["30", "2"], ran.stdout + ran.stderr
    assert (found["B2"], found["B3"]) == (["20", "1"], ["4", "1"])
    assert "B4" not in found
