"""Adapters as typed: which there are, which serves, what each was taught, taking one elsewhere."""

import json
import shutil
import sqlite3

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from storage import adapters
from storage.database import open_database
from storage.datadir import open_datadir
from storage.records import RoundExample
from storage.rounds import create_round, finish_round
from tests.assistant.command_line import refusal, write_rows
from tuning.adapter_files import manifest_hash, save_adapter, write_notes

BASE = "b" * 64


@pytest.fixture
def db(apprentice):
    with open_database(open_datadir(apprentice.data).database) as db:
        yield db


@pytest.fixture
def make(apprentice, db, tmp_path):
    """Makes an adapter as a round would: its files, then its row."""
    weights = tmp_path / "weights"
    weights.mkdir()
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    values = np.arange(8, dtype=np.float32).reshape(2, 4)
    save_file(
        {name.format("A"): values, name.format("B"): values.T.copy()},
        weights / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4}
    config["target_modules"] = ["q_proj"]
    (weights / "adapter_config.json").write_text(json.dumps(config))

    def make(verdict="promote", examples=(), parent_id=None, scores=None):
        made = create_round(db, 1, config={}, base_fingerprint=BASE, examples=examples)
        finish_round(db, made.id, state="done", verdict=verdict, scores=scores)
        folder = apprentice.data / "adapters" / "new"
        save_adapter(
            weights, folder, base_fingerprint=BASE, method="lora", round_id=made.id, metrics={}
        )
        row = adapters.add_adapter(
            db,
            1,
            round_id=made.id,
            parent_id=parent_id,
            base_fingerprint=BASE,
            method="lora",
            manifest_hash=manifest_hash(folder),
            metrics={"loss": 0.1},
        )
        return folder.rename(apprentice.data / "adapters" / str(row.id))

    return make


def test_promote_and_roll_back(apprentice, make):
    make(), make()
    assert [row["id"] for row in apprentice.rows("adapters", "list")] == [2, 1]
    apprentice("adapters", "promote", 1)
    apprentice("adapters", "promote", 2)
    assert apprentice.rows("adapters", "rollback") == [{"workspace": "default", "serving": 1}]
    assert "base" in apprentice("adapters", "rollback")
    apprentice("adapters", "rollback", code=2)
    assert "base model" in refusal(apprentice)


def test_show_holds_the_release_notes(apprentice, make):
    folder = make()
    assert apprentice.rows("adapters", "show", 1)[0]["notes"] == ""
    write_notes(folder, "## What changed\n\n- Seven more are right.\n")
    assert "Seven more are right." in apprentice.rows("adapters", "show", 1)[0]["notes"]
    assert "Seven more are right." in apprentice("adapters", "show", 1)
    shutil.rmtree(folder)
    assert apprentice.rows("adapters", "show", 1)[0]["notes"] == ""


def test_against_the_gate_only_with_a_reason(apprentice, make):
    make(verdict="reject")
    apprentice("adapters", "promote", 1, code=2)
    assert "reject" in refusal(apprentice)
    apprentice("adapters", "promote", 1, "--reason", "asked for by the client")
    assert apprentice.rows("adapters", "show", 1)[0]["status"] == "serving"


def test_broken_files_do_not_serve(apprentice, make):
    weights = make() / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for words in (("promote", 1), ("export", 1, "--to", apprentice.data / "out")):
        apprentice("adapters", *words, code=2)
        assert "adapter_model.safetensors" in refusal(apprentice)
    assert apprentice.rows("adapters", "list")[0]["status"] == "candidate"


def test_exported_folder_is_pefts_own(apprentice, make, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setenv("APPRENTICE_BASE_MODEL", str(tiny_base.folder))
    (make() / "adapter.gguf").write_bytes(b"derived")
    said = apprentice("adapters", "export", 1, "--to", tmp_path / "out")
    assert "asked nothing" in said
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
        "parity.json",
        "README.md",
    }
    assert len(load_file(tmp_path / "out" / "adapter_model.safetensors")) == 2


def test_deleted_adapter_is_gone_but_not_while_it_serves(apprentice, make):
    folder = make()
    apprentice("adapters", "promote", 1)
    apprentice("adapters", "delete", 1, code=2)
    assert "serves" in refusal(apprentice) and folder.exists()
    apprentice("adapters", "rollback")
    apprentice("adapters", "delete", 1)
    assert not folder.exists() and apprentice.rows("adapters", "list") == []


def test_lineage_goes_through_the_parents(apprentice, make, tmp_path):
    rows = [
        {"question": f"Q{n}", "answer": "a", "correction": f"c{n}", "passages": ["Page one."]}
        for n in (1, 2)
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    apprentice("feedback", "import", path, "--approve")
    make(examples=[RoundExample(0, "correction", "train", 1, "g1", "h1")])
    make(
        examples=[
            RoundExample(0, "correction", "new wordings", 2, "g2", "h2"),
            RoundExample(0, "sentinel", "sentinel", None, "s", "h3"),
        ],
        parent_id=1,
    )
    found = apprentice.rows("lineage", 2)
    assert [(row["feedback"], row["split"], row["taught"]) for row in found] == [
        (2, "new wordings", "c2"),
        (1, "train", "c1"),
    ]
    assert found[0]["documents"] == ["passage"]
    assert found[0]["reviewer"].startswith("cli:")


def test_lineage_names_the_database_of_new_queries(apprentice, make, db, tmp_path):
    make(scores={"pairs": {"train": 9, "recombined": 4}})
    make(scores={"pairs": {"train": 9}}, parent_id=1)
    sqlite3.connect(tmp_path / "shop.sqlite").close()
    check = json.dumps([{"type": "sql", "database": str(tmp_path / "shop.sqlite")}])
    apprentice("workspaces", "set", "default", f"checks={check}")
    (row,) = apprentice.rows("lineage", 2)
    assert (row["round"], row["kind"], row["rows"]) == (1, "recombined", 4)
    assert row["documents"] == ["shop.sqlite"]


def test_an_adapter_says_how_many_of_its_corrections_are_stale(apprentice, make, tmp_path):
    page = tmp_path / "returns.md"
    page.write_text("Goods may be returned within 30 days.")
    apprentice("ingest", page)
    asked = {"question": "When may goods be returned?", "correction": "Within 30 days."}
    other = {"question": "Say hello.", "correction": "Ahoy!", "passages": []}
    rows = write_rows(tmp_path / "rows.jsonl", asked, other)
    apprentice("feedback", "import", rows, "--approve")
    taught = [RoundExample(1, "correction", "train", id, "g", f"h{id}") for id in (1, 2)]
    make(examples=taught)
    assert apprentice.rows("adapters", "show", 1)[0]["stale"] == "0 of 2 corrections"
    page.write_text("Goods may be returned within 45 days.")
    apprentice("ingest", page)
    assert apprentice.rows("adapters", "show", 1)[0]["stale"] == "1 of 2 corrections"


@pytest.mark.parametrize(
    "words",
    [
        ("adapters", "show", "9"),
        ("adapters", "promote", "9"),
        ("adapters", "delete", "9"),
        ("adapters", "export", "9", "--to", "x"),
        ("lineage", "9"),
    ],
)
def test_unknown_adapter(apprentice, words):
    apprentice(*words, code=2)
    assert "9" in refusal(apprentice)
