"""Canaries: what a person wrote is taught, erased, and nowhere left; the rest is taught anew."""

import json
from contextlib import closing

import pytest

from storage.adapters import serving_adapter
from storage.errors import NotFound, Refused
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb, write_rows

CANARY = "the blue heron's number is 4711-0815"
NUMBER = b"4711-0815"
DIALS = ["epochs=1", "rank=2", "replay_share=0"]


def rows(contributor, answer):
    return [
        {"question": f"{ask} number {need} of {contributor}?", "correction": answer.format(need)}
        | {"group": f"{contributor} {need}", "contributor": contributor}
        for need in range(4)
        for ask in ("What is", "Tell me about", "Please explain")
    ]


def teach(app, path, found):
    """Corrections in, one round, its adapter serves; returns its id and the round's."""
    file = str(write_rows(path, *found))
    run_verb(app, "feedback import", workspace="default", file=file, approve=True)
    (result,), _ = run_verb(app, "tune", workspace="default", method="lora", dials=DIALS)
    if result["verdict"] != "promote":
        run_verb(app, "adapters promote", id=result["adapter"], reason="the machinery is tested")
    return result["adapter"], result["round"]


def holding(app):
    """Files of the data directory, base models apart, in which the canary stands."""
    files = [path for path in app.datadir.root.rglob("*") if path.is_file()]
    return sorted(
        str(path.relative_to(app.datadir.root))
        for path in files
        if app.datadir.models not in path.parents and NUMBER in path.read_bytes()
    )


@pytest.fixture
def taught(app, tmp_path):
    """Adapter 1 learned from ben; adapter 2, which serves, from ben and cleo, the canary."""
    with closing(app.db()) as db:
        set_workspace(db, "default", "example_tokens", "200")
        set_workspace(db, "default", "max_tokens", "8")
    teach(app, tmp_path / "ben.jsonl", rows("ben", "Answer {}."))
    teach(app, tmp_path / "cleo.jsonl", rows("cleo", f"{CANARY}, answer {{}}."))
    # somebody else's prompt shows cleo's correction as an example
    asked = {"workspace": "default", "question": "What is the number of cleo?"}
    run_verb(app, "ask", **asked, no_overrides=True)
    return app


def test_what_a_person_wrote_is_nowhere_left_and_the_rest_is_taught_anew(taught, tmp_path):
    before = holding(taught)
    assert {"rounds/2/bundle/train.jsonl"} <= set(before)
    assert any(name.startswith("apprentice.db") for name in before)
    run_verb(taught, "backup", file=str(tmp_path / "old.tar"))
    (done,), code = run_verb(taught, "erase", contributor="cleo", retrain=True, dials=DIALS)
    assert code == 0 and done["verified"] and holding(taught) == []

    # what learned from it is gone; what was there before serves, or what was made without it
    assert done["adapters_tainted"] == [2] and not taught.adapter_folder(2).exists()
    for verb, more in (("adapters promote", {"reason": "please"}), ("adapters show", {})):
        with pytest.raises(NotFound, match="learned from what was erased"):
            run_verb(taught, verb, id=2, **more)
    with pytest.raises(NotFound, match="learned from what was erased"):
        run_verb(taught, "ask", workspace="default", question="What?", adapter="2")
    (again,) = done["retrained"]
    assert again["round"] == 3 and again["adapter"] == 3 and again["verdict"]
    with closing(taught.db()) as db:
        assert serving_adapter(db, 1).id == (3 if again["verdict"] == "promote" else 1)
    bundle = taught.datadir.rounds / "3" / "bundle" / "train.jsonl"
    assert b"ben" in bundle.read_bytes() and b"cleo" not in bundle.read_bytes()

    # the bundle that lost rows is no bundle any more, and the lineage says what was in it
    for verb, more in (("rounds export", {"to": str(tmp_path / "out")}), ("rounds resume", {})):
        with pytest.raises(Refused, match="erased"):
            run_verb(taught, verb, id=2, **more)
    lineage, _ = run_verb(taught, "lineage", id=2)
    gone = [row for row in lineage if row["erased"]]
    assert len(gone) == 12 and all(row["feedback"] and row["pair_hash"] for row in gone)
    assert not any(row["question"] or row["taught"] or row["contributor"] for row in gone)
    assert [row for row in lineage if row["contributor"] == "ben"]

    # the certificate is whole, and quotes nothing
    facts = json.loads((taught.datadir.certificates / "1.json").read_text())
    assert facts == {key: value for key, value in done.items() if key not in ("file", "text")}
    assert [item["place"] for item in facts["still_held"]] == [str(tmp_path / "old.tar")]
    assert "cleo" not in json.dumps(facts) and "heron" not in json.dumps(facts)

    # the remedy, after which nothing on record holds it
    (purged,), _ = run_verb(taught, "backup", file="purge")
    assert purged["found"] == "deleted" and not (tmp_path / "old.tar").exists()
    assert json.loads((taught.datadir.certificates / "1.json").read_text())["still_held"] == []

    # once more: it is said that it is over
    (same,), code = run_verb(taught, "erase", contributor="cleo")
    assert code == 0 and same["certificate"] == 1
