"""A training process that dies, hangs or is called off takes nobody with it, and says why."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import tuning
from tuning.child import LOG, RoundCancelled, RoundFailed
from tuning.runners import local
from tuning.runners.local import train_in_child

HOUSE = str(Path(tuning.__file__).parent.parent)


def stand_in(tmp_path, monkeypatch, lines):
    """Runs a script in place of `tuning.run`; it has become the child before its lines."""
    script = tmp_path / "stand_in.py"
    script.write_text(
        "import os, sys, time, signal\n"
        f"sys.path.insert(0, {HOUSE!r})\n"
        "from tuning.child import become_child\n"
        "say = become_child(int(sys.argv[sys.argv.index('--parent') + 1]))\n" + lines
    )
    monkeypatch.setattr(local, "PROGRAM", [str(script)])


def follow(tmp_path, said=None, **how):
    return train_in_child(
        tmp_path / "bundle",
        tmp_path / "out",
        tmp_path / "model",
        on_progress=(said if said is not None else []).append,
        cancelled=how.pop("cancelled", lambda: False),
        **how,
    )


def test_progress_and_the_result_come_back(tmp_path, monkeypatch):
    stand_in(
        tmp_path,
        monkeypatch,
        "print('a library talks')\nsay({'step': 1, 'loss': 2.0})\nsay({'step': 2, 'loss': 1.0})\n"
        "say({'result': {'steps': 2, 'nice': os.nice(0), 'alone': os.getsid(0) == os.getpid()}})\n",
    )
    said = []
    assert follow(tmp_path, said) == {"steps": 2, "nice": 19, "alone": True}
    assert [one["step"] for one in said] == [1, 2]
    assert "a library talks" in (tmp_path / "out" / LOG).read_text()


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="the kernel does not group by session"
)
def test_its_session_steps_back_too(tmp_path, monkeypatch):
    stand_in(
        tmp_path, monkeypatch, "say({'result': {'group': open('/proc/self/autogroup').read()}})\n"
    )
    assert follow(tmp_path)["group"].split()[-2:] == ["nice", "19"]


def test_what_it_raised_is_in_the_log(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "raise RuntimeError('boom')")
    with pytest.raises(RoundFailed, match=LOG):
        follow(tmp_path)
    assert "boom" in (tmp_path / "out" / LOG).read_text()


def has_begun(tmp_path):
    """It has written its id: the file is there, empty, a moment before."""
    return (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != ""


def pid_of(tmp_path):
    deadline = time.monotonic() + 120
    while not has_begun(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int((tmp_path / "pid").read_text())


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] in "ZX"
    except FileNotFoundError:
        return True


WAITS = "open(r'{0}/pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"


def test_a_cancelled_child_is_gone(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, WAITS.format(tmp_path))
    with pytest.raises(RoundCancelled, match="cancelled"):
        follow(tmp_path, cancelled=lambda: has_begun(tmp_path))
    assert is_gone(pid_of(tmp_path))


def test_a_child_that_hangs_is_asked_where_and_killed(tmp_path, monkeypatch):
    stand_in(
        tmp_path,
        monkeypatch,
        WAITS.format(tmp_path).replace("time.", "os.kill(os.getpid(), signal.SIGSTOP)\ntime."),
    )
    with pytest.raises(RoundFailed, match="said nothing for 12 s"):
        follow(tmp_path, silence_seconds=12.0)  # a busy machine takes 5 to start it
    assert is_gone(pid_of(tmp_path))
    assert "Current thread" in (tmp_path / "out" / LOG).read_text()


def test_a_killed_child_leaves_no_grandchildren(tmp_path, monkeypatch):
    stand_in(
        tmp_path,
        monkeypatch,
        "import subprocess\n"
        "p = subprocess.Popen(['sleep', '600'])\n"
        f"open(r'{tmp_path}/pid', 'w').write(str(p.pid))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
    )
    with pytest.raises(RoundFailed):
        follow(tmp_path)
    deadline = time.monotonic() + 60
    while not is_gone(pid_of(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_gone(pid_of(tmp_path))


def test_it_dies_with_its_parent(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, WAITS.format(tmp_path))
    script = (tmp_path / "stand_in.py").as_posix()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys, time\n"
            f"subprocess.Popen([sys.executable, {script!r}, '--parent', str(os.getpid())],"
            " start_new_session=True)\ntime.sleep(600)",
        ],
    )
    pid = pid_of(tmp_path)
    assert not is_gone(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while not is_gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_gone(pid)


def test_a_service_managers_stop_leaves_the_end_to_the_parent(tmp_path, monkeypatch):
    stand_in(
        tmp_path,
        monkeypatch,
        "os.kill(os.getpid(), signal.SIGTERM)\nsay({'result': {'went': 'on'}})\n",
    )
    assert follow(tmp_path) == {"went": "on"}


def test_nothing_is_left_of_a_round(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "say({'result': {}})")
    before = threading.active_count()
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        follow(tmp_path)
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
    assert len(os.listdir("/proc/self/fd")) <= files
