"""A bundle taken elsewhere as a zip, trained there by the notebook, and back."""

import json
import shutil
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from assistant.rounds import resume_round
from storage.adapters import list_adapters
from storage.database import write_transaction
from storage.errors import BadInput, Refused
from storage.feedback import approve, reject
from storage.rounds import (
    evaluations,
    finish_round,
    list_rounds,
    round_examples,
    tuning_round,
)
from tests.assistant.command_line import run_verb
from tests.assistant.notebook import code_cells, run_cells
from tests.assistant.taught import bundled
from tuning.adapter_files import MANIFEST, AdapterRefused
from tuning.config import RoundConfig

DIALS = RoundConfig(method="lora", epochs=1, rank=2, threads=1)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A place that has nothing of the house but its code."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture
def origin(app, workspace, tmp_path):
    """A round that has its bundle and never trained: a machine too small for it."""
    made = bundled(app, workspace, DIALS, tmp_path, items=6)
    with closing(app.db()) as db:
        return finish_round(db, made.id, state="cancelled")


@pytest.fixture
def trained(app, origin, elsewhere, tiny_base):
    """What the notebook sends home, run once on the usual zip of an exported bundle's folder."""
    home = elsewhere / "home again"
    if not home.exists():
        run_verb(app, "rounds export", id=origin.id, to=str(elsewhere / "bundle"))
        shutil.make_archive(str(elsewhere / "bundle"), "zip", elsewhere, "bundle")
        shutil.rmtree(elsewhere / "bundle")
        shutil.copytree(tiny_base.folder, elsewhere / "model")
        said = run_cells(code_cells(), elsewhere)
        assert "6 rows to learn, 3 cases kept back, lora" in said and '"result"' in said
        shutil.unpack_archive(elsewhere / "out.zip", home)
    return home


@pytest.mark.parametrize("inside", [".", "bundle", "round 7/bundle"])
def test_the_notebook_takes_any_zip_of_the_bundle(tmp_path, inside):
    packed = tmp_path / "packed" / inside
    packed.mkdir(parents=True)
    (packed / "heldout.jsonl").write_text("")
    shutil.make_archive(str(tmp_path / "bundle"), "zip", tmp_path / "packed")
    said = run_cells([code_cells()[0], "print(BUNDLE.as_posix())"], tmp_path)
    assert said.strip() == Path("bundle", inside).as_posix()


def test_what_was_trained_elsewhere_is_judged_like_any_other(app, origin, trained):
    (result,), code = run_verb(app, "rounds import", folder=str(trained))
    assert "error" not in result and result["round"] != origin.id
    assert code == (0 if result["verdict"] == "promote" else 1)
    assert result["pairs"] == {"train": 6, "held_out": 3, "replay": 0}
    with closing(app.db()) as db:
        (adapter,) = list_adapters(db, 1)
        assert (adapter.round_id, adapter.method) == (result["round"], "lora")
        assert {row.row for row in evaluations(db, result["round"])} >= {"candidate", "base"}
        taught = [example.feedback_id for example in round_examples(db, result["round"])]
        assert taught == [example.feedback_id for example in round_examples(db, origin.id)]
    app.load_adapter(adapter.id)
    assert (trained / "adapter" / MANIFEST).is_file(), "what was handed in was taken away"


def test_nobody_brings_his_own_figures_of_what_was_forgotten(app, trained, tmp_path):
    out = shutil.copytree(trained, tmp_path / "flattered")
    told = json.loads((out / "training.json").read_text())
    true = told["sentinel"]
    assert true["items"] == 6
    flattered = {"items": 580, "base_right": 400, "lost": 0, "nats_lost": -1.0}
    told["sentinel"] = {**true, **flattered}
    (out / "training.json").write_text(json.dumps(told))
    (result,), _ = run_verb(app, "rounds import", folder=str(out))
    with closing(app.db()) as db:
        kept = tuning_round(db, result["round"]).scores["training"]["sentinel"]
    assert {name: kept[name] for name in flattered} == {
        **{name: true[name] for name in flattered},
        "nats_lost": pytest.approx(true["nats_lost"], abs=1e-3),
    }
    assert result["changes"] and not any("580" in said for said in result["changes"])


def test_what_came_back_is_imported_again_and_not_resumed(app, trained):
    (result,), _ = run_verb(app, "rounds import", folder=str(trained))
    with pytest.raises(Refused, match="rounds import"):
        resume_round(app, result["round"], actor="user:1")


def reseal(out, **changes):
    path = out / "adapter" / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "error", "named"),
    [
        (lambda out: (out / "training.json").unlink(), BadInput, "training.json"),
        (lambda out: (out / "adapter" / MANIFEST).unlink(), AdapterRefused, "manifest.json"),
        (lambda out: reseal(out, round_id=77), Refused, "round 77, which is not in this data"),
        (lambda out: reseal(out, round_id=None), Refused, "adapters import"),
        (lambda out: reseal(out, extra={}), Refused, "adapters import"),
        (lambda out: reseal(out, extra={"bundle": "0" * 64}), Refused, "changed since"),
        (lambda out: reseal(out, base_fingerprint="0" * 64), AdapterRefused, "made for the base"),
    ],
)
def test_what_cannot_be_judged_here_is_refused(app, trained, tmp_path, spoil, error, named):
    out = shutil.copytree(trained, tmp_path / "spoilt")
    spoil(out)
    with pytest.raises(error, match=named):
        run_verb(app, "rounds import", folder=str(out))
    with closing(app.db()) as db:
        assert len(list_rounds(db, 1)) == 1 and list_adapters(db, 1) == []


def test_what_learned_from_something_erased_does_not_come_back(app, trained):
    with closing(app.db()) as db, write_transaction(db):
        db.conn.execute("delete from feedback where id = 1")
    with pytest.raises(Refused, match="1 corrections or thumbs that were erased"):
        run_verb(app, "rounds import", folder=str(trained))


@pytest.mark.parametrize("change", [reject, partial(approve, correction="other words")])
def test_what_learned_from_something_withdrawn_or_edited_does_not_come_back(app, trained, change):
    with closing(app.db()) as db:
        change(db, 1, reviewer="user:1")
    with pytest.raises(Refused, match="withdrawn or changed since"):
        run_verb(app, "rounds import", folder=str(trained))
    with closing(app.db()) as db:
        assert len(list_rounds(db, 1)) == 1 and list_adapters(db, 1) == []
