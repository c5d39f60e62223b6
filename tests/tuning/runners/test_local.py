"""What a training process says or leaves unsaid, in one sentence."""

import pytest

from tests.tuning.test_child import follow, stand_in
from tuning.child import MemoryRanOut, RoundFailed
from tuning.runners.local import Local


def test_its_own_sentence_is_told(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "say({'error': 'The loss became nan.'})\nsys.exit(2)\n")
    with pytest.raises(RoundFailed, match="The loss became nan."):
        follow(tmp_path)


@pytest.mark.parametrize(
    "lines, said",
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed before its first step"),
        (
            "say({'step': 7}); time.sleep(0.2); os.kill(os.getpid(), signal.SIGKILL)",
            "killed after step 7.*memory ran out",
        ),
        ("sys.exit(3)", "code 3"),
        ("os.abort()", "signal 6"),
        ("raise RuntimeError('boom')", "code 1"),
    ],
)
def test_a_death_is_told_in_words(tmp_path, monkeypatch, lines, said):
    stand_in(tmp_path, monkeypatch, lines)
    with pytest.raises(RoundFailed, match=said):
        follow(tmp_path)


def test_what_another_process_died_of_is_told(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "say({'step': 3})\nsay({'death': -9})\nsys.exit(1)\n")
    with pytest.raises(RoundFailed, match="killed after step 3"):
        follow(tmp_path)


def test_memory_that_ran_out_is_told_apart(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "say({'error': 'No more.', 'memory': True})\nsys.exit(1)\n")
    with pytest.raises(MemoryRanOut, match="No more"):
        Local().train(
            tmp_path / "bundle",
            tmp_path / "out",
            tmp_path / "model",
            on_progress=lambda said: None,
            cancelled=lambda: False,
        )
