"""An erasure in order: what is left of the files, and that it ends however often it is cut off."""

import json
from contextlib import closing

import numpy as np
import pytest

from assistant import erasure as erasing
from assistant.app import App
from assistant.erasure import ERASED, approve, erase, finish_unfinished
from knowledge.chroma_place import IndexAway
from storage.adapters import adapter, add_adapter, promote, serving_adapter
from storage.backup import make_backup
from storage.conversations import message
from storage.copies import record_copy
from storage.erasure import list_erasures
from storage.erasure_requests import erasure_request, file_request
from storage.errors import NotFound, Refused
from storage.feedback import feedback
from storage.jobs import finish_job, start_job
from storage.records import RoundExample
from storage.rounds import create_round, finish_round, tuning_round
from tests.assistant.command_line import run_verb, write_rows
from tests.chroma_server import chroma_server
from tests.tiny import make_tiny_adapter
from tuning import adapter_files
from tuning.adapter_files import CARD, manifest_hash, save_adapter, verify_adapter
from tuning.bundle import TrainRow, write_bundle
from tuning.config import RoundConfig

CANARY = "the blue heron's number is 4711-0815"
COLLECTION = "corrections-1-x"
ADMIN = {"actor": "user:9"}


@pytest.fixture
def house(app, tmp_path):
    """Feedback 1 to 3 of cleo, 4 of ben; the index holds all four questions."""
    rows = [
        {"question": f"{CANARY}, question {n}?", "correction": f"{CANARY}, answer {n}."}
        | {"contributor": "cleo@example.com", "group": f"need {n}"}
        for n in range(3)
    ]
    rows.append({"question": "How wide is it?", "correction": "Two metres.", "contributor": "ben"})
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    vectors = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    app.index.upsert(COLLECTION, [1, 2, 3, 4], vectors, ["h1", "h2", "h3", "h4"])
    app.index.upsert("chunks-1-x", [1], vectors[:1], ["c1"])
    return app


def learned(app, *feedback_ids, split="train", text=CANARY, parent_id=None):
    """An adapter, as a round on these rows leaves it with its bundle; returns its row."""
    examples = [RoundExample(0, "correction", split, id, f"g{id}", f"h{id}") for id in feedback_ids]
    with closing(app.db()) as db:
        done = create_round(db, 1, config={}, base_fingerprint="b", examples=examples)
        start_job(db, done.job_id, 1)
        finish_round(db, done.id, state="done", verdict="promote", reasons=[f"learned {text}"])
        folder = app.datadir.rounds / str(done.id)
        row = TrainRow("1", "g", ({"role": "user", "content": text},), (1,), text, (2,))
        config = RoundConfig()
        write_bundle(
            folder / "bundle", config=config, base_fingerprint="b", train=[row], heldout=[]
        )
        (folder / "train.log").write_text(text)
        weights = make_tiny_adapter(app.base, folder / "weights")
        made = add_adapter(
            *(db, 1),
            round_id=done.id,
            parent_id=parent_id,
            base_fingerprint=app.base.fingerprint,
            method="lora",
            manifest_hash="",
        )
        target = app.adapter_folder(made.id)
        save_adapter(
            *(weights, target),
            base_fingerprint=app.base.fingerprint,
            method="lora",
            round_id=done.id,
            metrics={"note": text},
        )
        from storage.database import write, write_transaction

        with write_transaction(db):
            sql = "update adapters set manifest_hash = ? where id = ?"
            write(db, sql, manifest_hash(target), made.id)
        return adapter(db, made.id)


def holding(app, text=CANARY):
    """Files of the data directory with the canary in them."""
    found = [path for path in app.datadir.root.rglob("*") if path.is_file()]
    return [
        str(path.relative_to(app.datadir.root))
        for path in found
        if text.encode() in path.read_bytes()
    ]


def test_everything_of_a_contributor_goes_and_is_certified(house):
    with closing(house.db()) as db:
        first = learned(house, 4, text="ben's")
        second = learned(house, 1, 4)
        child = learned(house, 4, text="ben's", parent_id=second.id)
        for known in (first, second, child):
            promote(db, known.id, **ADMIN)
        house.load_adapter(child.id)
        known, before = erase(house, "contributor", "cleo@example.com", **ADMIN)
        assert (known.state, before, known.detail["verified"]) == ("done", False, True)
        assert holding(house) == []
        assert serving_adapter(db, 1).id == first.id
        assert child.id not in house.engine.adapters()
        for gone in (second, child):
            assert not house.adapter_folder(gone.id).exists()
            with pytest.raises(NotFound, match="erased"):
                house.load_adapter(gone.id)
        house.load_adapter(first.id)
        assert feedback(db, 4)
        bundle = house.datadir.rounds / str(second.round_id)
        assert [path.name for path in bundle.iterdir()] == [ERASED]
        assert (house.datadir.rounds / str(first.round_id) / "bundle" / "train.jsonl").exists()
    facts = json.loads((house.datadir.certificates / f"{known.id}.json").read_text())
    assert facts["verified"] and facts["adapters_tainted"] == [second.id, child.id]
    assert facts["serving_now"] == {"1": first.id} and facts["searched"]["texts"] > 3
    assert len(facts["rows"]) == 6  # three judgements, three imported conversations
    text = (house.datadir.certificates / f"{known.id}.md").read_text()
    assert "retraining, and not unlearning" in text and "cleo" not in text


def test_the_index_forgets_the_vectors_and_keeps_the_others(house):
    assert set(house.index.hashes(COLLECTION)) == {1, 2, 3, 4}
    erase(house, "contributor", "cleo@example.com", **ADMIN)
    assert house.index.hashes(COLLECTION) == {4: "h4"}
    assert house.index.hashes("chunks-1-x") == {1: "c1"}


def test_vectors_on_a_server_are_forgotten_too_and_what_the_folder_held(house, settings, tmp_path):
    """The folder is what an install leaves that moved to a server."""
    house.close()
    with chroma_server(tmp_path / "chroma-server") as server:
        there = settings.model_copy(update={"chroma_url": server.url})
        moved = App(there, house.datadir)
        vectors = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
        moved.index.upsert(COLLECTION, [1, 2, 3, 4], vectors, ["h1", "h2", "h3", "h4"])
        erase(moved, "contributor", "cleo@example.com", **ADMIN)
        assert moved.index.hashes(COLLECTION) == {4: "h4"}
        assert not any(house.datadir.chroma.iterdir())
        server.kill()
        with pytest.raises(IndexAway):
            erase(moved, "contributor", "ben", **ADMIN)
        server.start()
        assert moved.index.answers()
        (finished,) = finish_unfinished(moved)
        assert finished.state == "done" and moved.index.hashes(COLLECTION) == {}
        moved.close()


def test_a_model_card_that_quotes_a_held_out_row_is_rewritten_and_verifies(house):
    with closing(house.db()) as db:
        judged = learned(house, 4, text=f"before: {CANARY}, answer 0.")
        erase(house, "feedback", "1", **ADMIN)
        after = adapter(db, judged.id)
    folder = house.adapter_folder(judged.id)
    assert after.manifest_hash != judged.manifest_hash
    verify_adapter(folder, after.base_fingerprint, expected_manifest=after.manifest_hash)
    assert CANARY not in (folder / CARD).read_text()


BEFORE = ("_keep_words", "_files", "_empty_round", "_rewrite_cards", "_forget_vectors", "_search")
AFTER = ("_keep_words", "_empty_round", "rewrite_texts", "_forget_vectors", "compact")
CUTS = [
    *((cut, False) for cut in (*BEFORE, "write_certificate", "_drop_words")),
    *((cut, True) for cut in (*AFTER, "write_certificate", "_drop_words")),
]


@pytest.mark.parametrize(("cut", "after"), CUTS)
def test_one_that_is_cut_off_is_finished_later(house, monkeypatch, cut, after):
    """As a kill would: everything before or after the named step has not happened."""
    second = learned(house, 1)
    learned(house, 4, text=f"before: {CANARY}, answer 0.")
    module = adapter_files if cut == "rewrite_texts" else erasing
    step = getattr(module, cut)

    def killed(*given, **more):
        if after:
            step(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, cut, killed)
        with pytest.raises(KeyboardInterrupt):
            erase(house, "contributor", "cleo@example.com", **ADMIN)
    finish_unfinished(house)
    with closing(house.db()) as db:
        (known,) = list_erasures(db)
        assert known.state == "done" and known.detail["verified"]
        assert known.detail["adapters"] == [second.id]
    assert holding(house) == []
    assert {path.suffix for path in house.datadir.certificates.iterdir()} == {".json", ".md"}
    assert json.loads((house.datadir.certificates / "1.json").read_text())["finished_at"]
    again, before = erase(house, "contributor", "cleo@example.com", **ADMIN)
    assert before and again == known


def test_words_that_are_still_there_are_named(house):
    (house.datadir.root / "forgotten.txt").write_text(f"a note: {CANARY}, answer 1. End.")
    known, _ = erase(house, "feedback", "2", **ADMIN)
    assert not known.detail["verified"] and list(known.detail["left"]) == ["forgotten.txt"]
    text = (house.datadir.certificates / "1.md").read_text()
    assert "still found in `forgotten.txt`" in text


def test_what_holds_it_elsewhere_is_listed(house, tmp_path):
    taught = learned(house, 1)
    with closing(house.db()) as db:
        make_backup(house.datadir, tmp_path / "old.tar", **ADMIN)
        (house.datadir.backups / "found").write_text("who knows")
        known = {"format": "peft", "actor": "user:9"}
        record_copy(db, kind="push", place="hub:me/mine", adapter_id=taught.id, **known)
        record_copy(db, kind="bundle", place="/mnt/b", round_id=taught.round_id, **known)
        record_copy(db, kind="export", place="/mnt/rows.jsonl", **known)
        record_copy(db, kind="push", place="hub:other", adapter_id=learned(house, 4).id, **known)
        erase(house, "feedback", "1", **ADMIN)
    facts = json.loads((house.datadir.certificates / "1.json").read_text())
    places = [(item["what"], item["place"]) for item in facts["still_held"]]
    assert places == [
        ("backup", str(tmp_path / "old.tar")),
        ("unknown file among the backups", str(house.datadir.backups / "found")),
        ("pushed adapter", "hub:me/mine"),
        ("exported bundle", "/mnt/b"),
        ("exported feedback", "/mnt/rows.jsonl"),
    ]


def test_a_round_that_learns_from_it_is_cancelled_first(house, monkeypatch):
    monkeypatch.setattr(erasing, "STOP_S", 0.3)
    with closing(house.db()) as db:
        example = RoundExample(0, "correction", "train", 1, "g", "h")
        under_way = create_round(db, 1, config={}, base_fingerprint="b", examples=[example])
        with pytest.raises(Refused, match="does not stop"):
            erase(house, "feedback", "1", **ADMIN)
        assert feedback(db, 1)
        finish_job(db, tuning_round(db, under_way.id).job_id, "cancelled")
        known, _ = erase(house, "feedback", "1", **ADMIN)
    assert known.detail["rounds"] == [under_way.id]


def test_a_request_is_erased_when_an_admin_says_yes(house):
    with closing(house.db()) as db:
        asked = file_request(db, 1, "feedback", "1", requester="cleo@example.com")
        talk = message(db, feedback(db, 4).message_id).conversation_id
        known = approve(house, asked.id, **ADMIN)
        assert erasure_request(db, asked.id).erasure_id == known.id
        with pytest.raises(NotFound):
            feedback(db, 1)
        with pytest.raises(Refused, match="already approved"):
            approve(house, asked.id, **ADMIN)
        assert talk
