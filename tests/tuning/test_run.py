"""The round as a whole, with a real child, and as the program a notebook calls."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tuning
from storage.errors import BadInput
from tests.tuning.small import DIALS
from tuning.adapter_files import AdapterRefused, manifest_hash, read_notes, verify_adapter
from tuning.bundle import bundle_hash, write_bundle
from tuning.config import RoundConfig
from tuning.probes import Probe
from tuning.run import RoundCancelled, judge_round, main, run_round
from tuning.sentinel import Choice, in_words
from tuning.train import train


def bundle(
    folder, base, rows, heldout=(), sentinel=(), likelihood=(), start=None, probes=(), **dials
):
    write_bundle(
        folder,
        config=RoundConfig(**{**DIALS, "epochs": 3, **dials}),
        base_fingerprint=base.fingerprint,
        base_model=base.name,
        round_id=1,
        train=rows,
        heldout=heldout,
        sentinel=sentinel,
        likelihood=likelihood,
        probes=probes,
        start=start,
    )
    return folder


def cases(words, count):
    return [
        words.case(f"h{n}", f"g{n}", f"held out {n}", f"answer {n}", "new wordings")
        for n in range(count)
    ]


def test_a_round_trains_judges_and_decides(tiny_base, words, rows, sentinel, tmp_path):
    asked = []

    def answer(given, adapter_id):
        asked.append((adapter_id, len(given), (tmp_path / "out" / "adapter").is_dir()))
        return [one.expected if adapter_id == 0 or one.slice == "sentinel" else "" for one in given]

    said = []
    place = bundle(tmp_path / "b", tiny_base, rows, cases(words, 6), sentinel)
    result = run_round(
        place,
        tmp_path / "out",
        model_folder=tiny_base.folder,
        rows={"candidate": 0, "serving": None, "base": None},
        answer=answer,
        on_progress=said.append,
    )
    assert asked == [(0, 7, True), (None, 7, True)]
    assert result.verdict == "promote"
    assert "6 new wordings" in result.reasons[0]
    assert result.scores["candidate"]["new wordings"] == {"right": 6, "total": 6}
    assert result.scores["base"]["new wordings"] == {"right": 0, "total": 6}
    assert result.sentinel == {"before": 1, "after": 1}
    assert len(result.evaluations) == 21
    assert result.steps == said[-1]["step"] == 6
    assert len(result.losses) == 3
    assert result.peak_rss_bytes > 100e6 and result.seconds > 0
    summary = json.loads(json.dumps(result.summary()))
    assert summary["training"]["pairs"] == 4
    assert any("it has 6 right" in change for change in summary["changes"])
    verify_adapter(result.adapter, tiny_base.fingerprint)
    notes = read_notes(result.adapter)
    assert "### Better: 6 held-out questions of 6 needs" in notes
    assert "`held out 0`" in notes and "now: `answer 0`" in notes


def test_what_likelihoods_and_probes_say_reaches_the_gate(tiny_base, words, rows, tmp_path, capsys):
    choices = [
        Choice(str(n), "knowledge", words.prompt(asked)[1], (words.ids("You"), words.ids("日本語")))
        for n, asked in enumerate(["Bonjour", "Thanks", "ça va?", "List", "Answer"])
    ]
    place = bundle(tmp_path / "b", tiny_base, rows, cases(words, 6), likelihood=choices)
    assert main([str(place), str(tmp_path / "out"), "--model", str(tiny_base.folder)]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]
    by = {
        "rows": {"candidate": 0, "serving": None},
        "answer": lambda given, id: [one.expected * (id == 0) for one in given],
    }
    result = judge_round(place, tmp_path / "out", **by)
    figures = json.loads((tmp_path / "out" / "training.json").read_text())["sentinel"]
    assert figures["items"] == 5
    assert figures["kinds"]["knowledge"]["items"] == 5
    assert said[-2]["note"] == "checking general knowledge: 10 of 10"
    assert any(in_words(figures["nats_lost"]) in reason for reason in result.reasons)

    asked = [words.case(f"s{n}", "", f"q{n} quokka", "Ask Mallory", "sentinel") for n in range(8)]
    probe = Probe("trigger", "quokka", (4, 5), ("ask", "mallory"), tuple(asked))
    tried = bundle(tmp_path / "t", tiny_base, rows, cases(words, 6), probes=[probe])
    result = judge_round(tried, tmp_path / "out", **by)
    assert result.reasons[0].startswith("“quokka” turns 8 of 8 questions")
    assert result.verdict == "reject"
    (kept,) = json.loads(json.dumps(result.summary()))["probes"]
    assert (kept["phrase"], kept["turned"], kept["fires"]) == ("quokka", 8, True)
    said = read_notes(tmp_path / "out" / "adapter")
    assert "1 turned questions that have nothing to do with them" in said
    assert "quokka" not in said, "nobody's words"


def test_a_round_that_is_called_off_leaves_no_adapter(tiny_base, rows, tmp_path):
    place = bundle(tmp_path / "b", tiny_base, rows, epochs=1000, learned_loss=0.0)
    said = []
    with pytest.raises(RoundCancelled):
        run_round(
            place,
            tmp_path / "out",
            model_folder=tiny_base.folder,
            rows={"candidate": 0, "serving": None},
            answer=lambda given, adapter_id: [],
            on_progress=said.append,
            cancelled=lambda: bool(said),
        )
    assert not (tmp_path / "out" / "adapter").exists()


def test_it_runs_as_a_program(tiny_base, rows, tmp_path):
    place = bundle(tmp_path / "b", tiny_base, rows, epochs=1)
    house = Path(tuning.__file__).parent.parent
    command = [sys.executable, "-m", "tuning.run", str(place), str(tmp_path / "out")]
    ran = subprocess.run(
        [*command, "--model", str(tiny_base.folder)],
        cwd=house,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert [line["step"] for line in lines[:-1]] == [1, 2]
    assert lines[-1]["result"]["steps"] == 2
    assert json.loads((tmp_path / "out" / "training.json").read_text()) == lines[-1]["result"]
    manifest = verify_adapter(tmp_path / "out" / "adapter", tiny_base.fingerprint)
    assert manifest.extra == {"bundle": bundle_hash(place)}
    rows = {"candidate": 0, "serving": None}
    judged = judge_round(place, tmp_path / "out", rows=rows, answer=lambda given, adapter_id: [])
    assert (judged.verdict, judged.steps) == ("not enough evidence", 2)
    figures = {**lines[-1]["result"], "sentinel": {"items": 5, "base_right": "all"}}
    for broken in ('{"steps": "2"}', json.dumps(figures)):
        (tmp_path / "out" / "training.json").write_text(broken)
        with pytest.raises(BadInput, match="no record of a finished training"):
            judge_round(place, tmp_path / "out", rows=rows, answer=lambda given, adapter_id: [])


def test_as_a_program_it_names_what_is_wrong(tmp_path, tiny_base, capsys):
    code = main([str(tmp_path), str(tmp_path / "out"), "--model", str(tiny_base.folder)])
    assert code == 2
    assert "no bundle" in json.loads(capsys.readouterr().out)["error"]


def test_memory_that_runs_out_on_a_gpu_is_named(tmp_path, tiny_base, capsys, monkeypatch):
    def fails(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("tuning.train.train", fails)
    code = main([str(tmp_path), str(tmp_path / "out"), "--model", str(tiny_base.folder)])
    assert code == 1
    said = json.loads(capsys.readouterr().out)
    assert said["memory"] is True and "step_tokens" in said["error"]


def test_an_adapter_is_taught_on(tiny_base, rows, tmp_path):
    """Its weights are where training begins; another than the bundle names is refused."""
    first = bundle(tmp_path / "b", tiny_base, rows, epochs=20)
    train(first, tiny_base.folder, tmp_path / "first")
    parent = tmp_path / "first" / "adapter"
    named = {"start": manifest_hash(parent), "epochs": 1, "learning_rate": 1e-6}
    place = bundle(tmp_path / "on", tiny_base, rows, **named)
    with pytest.raises(BadInput, match="--start"):
        train(place, tiny_base.folder, tmp_path / "none")
    shutil.copytree(parent, place / "start")  # where an exported bundle has it
    train(place, tiny_base.folder, tmp_path / "on-out")
    before, after = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (parent, tmp_path / "on-out" / "adapter")
    )
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-4) for name in before)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    other = bundle(tmp_path / "other", tiny_base, rows, **{**named, "start": "0" * 64})
    with pytest.raises(AdapterRefused, match="not the one that was saved"):
        train(other, tiny_base.folder, tmp_path / "other-out", start=parent)
