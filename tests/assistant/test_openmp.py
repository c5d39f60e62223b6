"""The setting reaches the library, and a user's own stays."""

import os
import subprocess
import sys

from assistant.openmp import SPINS, be_fair_to_others


def test_it_is_set_before_libgomp_is_loaded():
    """libgomp prints what it runs with when it is loaded; torch and llama.cpp share one."""
    script = (
        "from assistant.openmp import be_fair_to_others; be_fair_to_others();"
        "from assistant.engines.llama_server import _library; _library()"
    )
    env = {**os.environ, "OMP_DISPLAY_ENV": "verbose"}
    env.pop("GOMP_SPINCOUNT", None)
    ran = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    spins = {line.split("'")[1] for line in ran.stderr.splitlines() if "SPINCOUNT" in line}
    assert spins == {SPINS}


def test_a_users_value_stays(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    be_fair_to_others()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
