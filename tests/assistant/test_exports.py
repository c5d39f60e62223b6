"""Adapters handed out, asked the gate's questions by the engines that load them, and on record."""

import hashlib
import json
from contextlib import closing

import numpy as np
import pytest
from safetensors.numpy import load_file

from assistant.engines.lora_gguf import write_adapter_gguf
from assistant.exports import export_adapter
from assistant.parity import ask_both
from storage.adapters import add_adapter
from storage.audit import list_audit
from storage.copies import copies_of
from storage.gguf_model import Weight, write_model_gguf
from storage.models import BaseModel
from tests.assistant.command_line import run_verb
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import (
    AdapterRefused,
    manifest_hash,
    save_adapter,
    verify_adapter,
)


@pytest.fixture
def known(app, workspace, tmp_path):
    """An adapter on the tiny base that no round made: general questions are what it is asked."""
    weights = make_tiny_adapter(app.base, tmp_path / "weights", strength=0.01)
    folder = app.datadir.adapters / "1"
    facts = {"base_fingerprint": app.base.fingerprint, "method": "lora", "round_id": None}
    save_adapter(weights, folder, metrics={}, **facts)
    with closing(app.db()) as db:
        return add_adapter(
            db, workspace.id, parent_id=None, manifest_hash=manifest_hash(folder), **facts
        )


def acts(app):
    with closing(app.db()) as db:
        return [(entry.action, entry.detail) for entry in list_audit(db, 3)]


@pytest.mark.parametrize(
    ("format", "file", "engine"),
    [
        ("peft", "adapter_model.safetensors", "torch_peft"),
        ("gguf", "model.gguf", "llamacpp"),
        ("merged", "model.safetensors", "torch_peft"),
    ],
)
def test_what_is_handed_out_answers_as_the_adapter(app, known, tmp_path, format, file, engine):
    (result,), code = run_verb(
        app, "adapters export", id=known.id, to=str(tmp_path / "out"), format=format, least=0.9
    )
    assert code == 0 and result["folder"] == str(tmp_path / "out")
    parity = result["parity"]
    assert (parity["engine"], parity["questions"]) == (engine, 60)
    assert "general ones only" in result["said"] and parity["same_tokens"] > 0.5
    written = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert written["parity"] == parity and file in written["files"]
    assert written["adapter_manifest"] == known.manifest_hash
    assert written["said"] == result["said"]
    if format == "peft":
        assert manifest_hash(tmp_path / "out") == known.manifest_hash
        verify_adapter(tmp_path / "out", app.base.fingerprint)
    else:
        assert result["said"] in (tmp_path / "out" / "README.md").read_text()
    with closing(app.db()) as db:
        (copy,) = copies_of(db, [known.id])
    assert (copy.kind, copy.place, copy.hash) == (
        "export",
        str(tmp_path / "out"),
        known.manifest_hash,
    )
    assert acts(app)[0][0] == "adapter exported"


def test_another_model_is_not_left_there_but_for_a_reason(app, known, tmp_path, monkeypatch):
    def spoilt(base, adapter, out, **how):
        """A merge that went wrong: a whole file, other weights."""
        found = load_file(base / "model.safetensors")
        weights = [Weight(n, v.shape, lambda v=v: np.flip(v, 0)) for n, v in found.items()]
        write_model_gguf(out / "model.gguf", weights, base)

    monkeypatch.setattr("tuning.merge.merge_in_child", spoilt)
    made = export_adapter(app, known.id, tmp_path / "a", format="gguf", actor="cli:ada")
    assert made.folder is None and made.parity.same_tokens < 0.25
    assert not (tmp_path / "a").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert acts(app)[0][0] == "export refused"
    with closing(app.db()) as db:
        assert copies_of(db, [known.id]) == []
    made = export_adapter(
        app, known.id, tmp_path / "b", format="gguf", anyway="for a test", actor="cli:ada"
    )
    assert made.folder and (tmp_path / "b" / "parity.json").is_file()
    act, detail = acts(app)[0]
    assert act == "adapter exported" and detail["anyway"] == "for a test"


def test_it_does_not_begin_with_what_does_not_fit(app, known, tmp_path, monkeypatch):
    folder = app.adapter_folder(known.id)
    monkeypatch.setitem(
        app._parts, "base", BaseModel("other", app.base.folder, app.base.gguf, "0" * 64)
    )
    with pytest.raises(AdapterRefused, match="made for the base"):
        export_adapter(app, known.id, tmp_path / "out", format="merged", actor="cli:ada")
    made = export_adapter(app, known.id, tmp_path / "out", format="peft", actor="cli:ada")
    assert made.parity is None and manifest_hash(tmp_path / "out") == manifest_hash(folder)
    assert not list((tmp_path / "out").glob("*.gguf"))
    written = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert written["parity"] is None and "not the one that serves here" in written["said"]
    assert written["base_fingerprint"] == known.base_fingerprint
    assert written["files"] == facts_of(tmp_path / "out")


def facts_of(folder):
    """What the certificate says of the files beside it."""
    return {
        path.name: {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in folder.iterdir()
        if path.name != "parity.json"
    }


def test_files_that_serve_as_they_are_are_asked_nothing(app, known, tmp_path):
    app.settings = app.settings.model_copy(update={"engine": "torch_peft"})
    made = export_adapter(app, known.id, tmp_path / "out", format="peft", actor="cli:ada")
    assert made.parity is None and "the engine that serves loads too" in made.said
    assert json.loads((tmp_path / "out" / "parity.json").read_text())["said"] == made.said


def test_an_adapter_that_another_engine_hears_otherwise_is_not_left_there(app, known, tmp_path):
    """Serves by a spoilt GGUF form, so PEFT's files answer otherwise."""
    served = make_tiny_adapter(app.base, tmp_path / "other", seed=5, strength=0.1)
    write_adapter_gguf(served, app.base.folder, app.adapter_folder(known.id) / "adapter.gguf")
    made = export_adapter(app, known.id, tmp_path / "out", format="peft", actor="cli:ada")
    assert made.folder is None and not made.parity.good and not (tmp_path / "out").exists()


def test_the_adapter_itself_is_asked_and_not_its_base(app, known, tmp_path):
    asked = []
    exported = BaseModel("tiny", app.base.folder, app.base.gguf, "")
    parity = ask_both(
        app,
        known,
        exported,
        format="gguf",
        least=0.95,
        log=tmp_path / "log",
        say=lambda share, note: asked.append((share, note)),
    )
    assert parity.same_answers < 1.0, "the base alone answered as the adapter"
    assert asked[-1][0] == 1.0
    assert {note.split(":")[0] for _, note in asked} == {
        "asking the adapter",
        "asking the exported model",
    }
