"""Memory that runs out is tried with less; what is there already is gone on from."""

import json

import pytest
import torch

from tests.tuning.small import DIALS
from tests.tuning.test_child import stand_in
from tuning.adapter_files import verify_adapter
from tuning.bundle import bundle_hash, write_bundle
from tuning.checkpoint import last_checkpoint
from tuning.child import RoundCancelled, RoundFailed
from tuning.config import RoundConfig
from tuning.memory import ran_out
from tuning.supervise import ADAPTER, TRAINING, train_supervised

OPTIONS = "open(r'{0}/tried', 'a').write(' '.join(sys.argv[6:]) + '\\n')\n"
"""Notes what it was started with, after BUNDLE OUT --model FOLDER and --parent."""


def bundle(folder, base, rows, **dials):
    return write_bundle(
        folder,
        config=RoundConfig(**{**DIALS, "epochs": 10, "learned_loss": 0.0, **dials}),
        base_fingerprint=base.fingerprint,
        base_model=base.name,
        round_id=1,
        train=rows,
        heldout=(),
    )


def supervised(tmp_path, taken, base, said=None, **how):
    return train_supervised(
        taken,
        tmp_path / "out",
        base.folder,
        on_progress=(said if said is not None else []).append,
        cancelled=how.pop("cancelled", lambda: False),
        **how,
    )


def tried(tmp_path):
    """The options of each try, without the parent's number."""
    lines = (tmp_path / "tried").read_text().splitlines()
    return [line.split()[1:] for line in lines]


ENDS = {
    "it says so": "say({'error': 'Memory ran out.', 'memory': True}); sys.exit(1)",
    "killed while it held most of the memory": (
        "say({'rss_bytes': 10 ** 15}); time.sleep(0.2); os.kill(os.getpid(), signal.SIGKILL)"
    ),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_it_is_tried_with_half_and_said(tmp_path, tiny_base, rows, monkeypatch, end):
    lines = OPTIONS.format(tmp_path) + (
        f"if '192' not in sys.argv:\n    {end}\nsay({{'result': {{}}}})\n"
    )
    stand_in(tmp_path, monkeypatch, lines)
    said = []
    notes = supervised(tmp_path, bundle(tmp_path / "b", tiny_base, rows), tiny_base, said)
    assert notes == (
        "Memory ran out at 768 tokens a step; went on with 384.",
        "Memory ran out at 384 tokens a step; went on with 192.",
    )
    assert [one["note"] for one in said] == list(notes)
    more = ["--resume", "--step-tokens"]
    assert tried(tmp_path) == [[], [*more, "384"], [*more, "192"]]


def test_after_two_more_tries_it_gives_up_with_what_was_tried(
    tmp_path, tiny_base, rows, monkeypatch
):
    stand_in(tmp_path, monkeypatch, OPTIONS.format(tmp_path) + ENDS["it says so"])
    with pytest.raises(RoundFailed, match=r"768 .* 384\. .* 384 .* 192\. Memory ran out\.$"):
        supervised(tmp_path, bundle(tmp_path / "b", tiny_base, rows), tiny_base)
    assert len(tried(tmp_path)) == 3


@pytest.mark.parametrize("lines", ["sys.exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_another_death_is_not_tried_again(tmp_path, tiny_base, rows, monkeypatch, lines):
    stand_in(tmp_path, monkeypatch, OPTIONS.format(tmp_path) + lines)
    with pytest.raises(RoundFailed):
        supervised(tmp_path, bundle(tmp_path / "b", tiny_base, rows), tiny_base)
    assert len(tried(tmp_path)) == 1


def test_what_a_torch_says_when_memory_runs_out():
    assert ran_out(MemoryError())
    assert ran_out(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60)
    assert ran_out(raised.value)
    assert not ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not ran_out(ValueError("out of memory"))


def test_a_killed_round_goes_on_to_a_whole_adapter(tmp_path, tiny_base, rows):
    """The child itself, called off after a checkpoint, then resumed; then once more, done."""
    taken = bundle(tmp_path / "b", tiny_base, rows, checkpoint_steps=2)
    steps = []
    with pytest.raises(RoundCancelled):
        train_supervised(
            taken,
            tmp_path / "out",
            tiny_base.folder,
            on_progress=lambda one: steps.append(one["step"]),
            cancelled=lambda: len(steps) >= 5,
        )
    reached = last_checkpoint(tmp_path / "out", bundle_hash(taken.folder)).step
    assert reached >= 4 and not (tmp_path / "out" / ADAPTER).exists()
    said = []
    assert supervised(tmp_path, taken, tiny_base, said, resume=True) == ()
    assert [one["step"] for one in said] == list(range(reached + 1, 21))
    manifest = verify_adapter(tmp_path / "out" / ADAPTER, tiny_base.fingerprint)
    (tmp_path / "out" / TRAINING).unlink()
    assert "ended before" in supervised(tmp_path, taken, tiny_base, resume=True)[0]
    assert json.loads((tmp_path / "out" / TRAINING).read_text()) == manifest.metrics
