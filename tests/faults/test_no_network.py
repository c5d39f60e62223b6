"""Nothing connects to the outside: no telemetry, no hub, no name looked up (bar B31)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import whole_use
from tests.faults.disk import needs_strace

ADDRESS = re.compile(r"sa_family=(AF_\w+)(.*)")
OURS = re.compile(r'inet_addr\("127\.|"::1"|inet_addr\("0\.0\.0\.0"\)')
QUIET = ("HF_HUB_OFFLINE", "GRADIO_ANALYTICS_ENABLED", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK")
"""What would silence the libraries for us: the house has to do it by itself."""


def outside(trace: Path) -> list[str]:
    """The calls that were to reach somebody beyond this machine."""
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        address = ADDRESS.search(line)
        if address and address[1] in ("AF_INET", "AF_INET6") and not OURS.search(address[2]):
            found.append(line)
    return found


def traced(tmp_path, *program):
    trace = tmp_path / "trace"
    calls = ["-e", "trace=connect,sendto,sendmsg,sendmmsg"]
    strace = ["strace", "-f", "--seccomp-bpf", *calls, "-o", str(trace)]
    environment = {name: value for name, value in os.environ.items() if name not in QUIET}
    environment["PYTHONPATH"] = str(Path(whole_use.__file__).parents[2])
    ran = subprocess.run(
        [*strace, *map(str, program)], capture_output=True, text=True, env=environment
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return trace


@needs_strace
@pytest.mark.parametrize("more", [[], pytest.param(["round"], marks=pytest.mark.slow)])
def test_a_house_in_use_connects_to_nobody(tmp_path, tiny_base, tried, more):
    program = [sys.executable, whole_use.__file__, tmp_path, tiny_base.folder, *more]
    trace = traced(tmp_path, *program)
    tried("B31", len(re.findall("sa_family=", trace.read_text(errors="replace"))))
    assert "AF_INET" in trace.read_text(errors="replace"), "its own clients were not seen"
    assert outside(trace) == []


@needs_strace
def test_one_that_does_would_be_seen(tmp_path):
    """To an address that nobody has: TEST-NET-1, RFC 5737."""
    code = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9))"
    assert outside(traced(tmp_path, sys.executable, "-c", code))
