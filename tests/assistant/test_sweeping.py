"""`tune --sweep`: what is refused before it starts; in the long form a round by the best dials."""

from contextlib import closing
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from assistant import sweeping
from assistant.commands.tune import sweep_of
from assistant.sweeping import Sweep, in_words, wanted_sweep
from storage.errors import BadInput, Refused
from storage.rounds import list_rounds, tuning_round
from tests.assistant.command_line import run_verb, write_rows
from tuning.adapter_files import verify_adapter
from tuning.bundle import read_bundle
from tuning.config import RoundConfig
from tuning.sweep import Budget

NEEDS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


@pytest.fixture
def there(monkeypatch):
    """Ray, as far as anybody looks for it before a sweep."""
    monkeypatch.setattr(sweeping, "find_spec", lambda name: True)


def plan(start=None, method="lora"):
    return SimpleNamespace(start=start, config=RoundConfig(method=method))


def test_without_ray_it_says_what_to_install(app, monkeypatch):
    monkeypatch.setattr(sweeping, "find_spec", lambda name: None)
    with pytest.raises(Refused, match="install apprentice-chat.ray."):
        wanted_sweep(app, plan(), Sweep(), {})


def test_what_was_set_is_not_searched(app, there):
    found = wanted_sweep(app, plan(), Sweep(tried={"rank": ["4", "8"]}), {"epochs": "3"})
    assert found.named == {"rank": [4, 8], "epochs": [3]}
    assert found.methods == ("lora", "rslora") and found.budget == Budget()
    assert wanted_sweep(app, plan(method="qlora"), Sweep(), {}).methods == ("qlora",)


def test_what_is_set_and_tried_at_once_is_refused(app, there):
    with pytest.raises(BadInput, match="rank is set and tried at once"):
        wanted_sweep(app, plan(), Sweep(tried={"rank": ["4"]}), {"rank": "8"})


def test_a_round_that_goes_on_from_an_adapter_is_refused(app, there):
    with pytest.raises(BadInput, match="--from base"):
        wanted_sweep(app, plan(start=SimpleNamespace(id=1)), Sweep(), {})


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((False, 3, None, []), "add --sweep"),
        ((False, None, None, ["rank=4"]), "add --sweep"),
        ((True, None, None, ["rank"]), "'rank' tries nothing: write KEY=A,B"),
        ((True, None, None, ["rank= , "]), "tries nothing"),
        ((True, 0, None, []), "A sweep of 0 trials"),
        ((True, None, 0.0, []), "A sweep of 0 minutes"),
    ],
)
def test_what_was_typed_wrong_is_one_sentence(typed, said):
    with pytest.raises(BadInput, match=said):
        sweep_of(*typed)


def test_what_was_typed_is_taken(app):
    assert sweep_of(False, None, None, []) is None
    found = sweep_of(True, 3, 2.5, ["rank=4, 8", "method=lora"])
    assert found == Sweep(Budget(3, 2.5), {"rank": ["4", "8"], "method": ["lora"]})


def test_what_came_out_is_said_beside_the_rounds_own_dials():
    best = {"rank": 4, "rate_share": 2.0}
    one = {"dials": {"rank": 8}, "right": 3, "total": 9, "ended": True, "score": 0.3}
    two = {"dials": best, "right": 6, "total": 9, "ended": True, "score": 0.6}
    said = in_words({"best": best, "trials": [one, two], "seconds": 90.0})
    assert "2 trials in 1.5 minutes chose rank 4, rate_share 2" in said
    assert "6 of 9 kept-out wordings word for word, by the round's own dials 3." in said


@NEEDS_RAY
@pytest.mark.slow
def test_a_round_trains_all_its_rows_by_the_best_dials_and_is_judged_once(app, tmp_path):
    rows = [
        {"question": f"{ask} {need}?", "correction": f"Answer {need}.", "group": f"need {need}"}
        for need in range(6)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    (result,), _ = run_verb(
        app,
        "tune",
        workspace="default",
        method="lora",
        dials=["epochs=4", "replay_share=0"],
        sweep=True,
        trials=2,
        minutes=5.0,
        tried=["rank=2,4"],
    )
    assert result["state"] == "done", result
    assert any("A sweep of 2 trials" in note for note in result["notes"])
    folder = app.datadir.rounds / str(result["round"])
    bundle = read_bundle(folder / "bundle")
    with closing(app.db()) as db:
        (item,) = list_rounds(db, 1)
        assert item == tuning_round(db, result["round"])
    kept = item.config["sweep"]
    assert kept["best"]["rank"] == bundle.config.rank == item.config["rank"]
    assert (kept["trials"][0]["total"], len(kept["trials"]), kept["scored_by"]) == (6, 2, 6)
    assert sum(row.kind == "correction" for row in bundle.train) == 12, "what scored is taught too"
    assert len(bundle.heldout) == 6 and not (folder / "sweep").exists()
    manifest = verify_adapter(app.adapter_folder(result["adapter"]), app.base.fingerprint)
    assert manifest.method == "lora"
