"""Training elsewhere from the admin page: the bundle out, what it came to back, both as zips."""

import json
import time
import zipfile
from contextlib import closing

import gradio as gr
import pytest
from starlette.testclient import TestClient

from assistant.admin.bundles import BundlesForm
from assistant.security import may_administer
from assistant.web import build_server
from storage.adapters import list_adapters
from storage.audit import list_audit
from storage.copies import copies_of
from storage.rounds import finish_round, list_rounds, tuning_round
from tests.assistant.taught import bundled
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import save_adapter
from tuning.bundle import bundle_hash
from tuning.config import RoundConfig


@pytest.fixture
def form(tab):
    return tab(BundlesForm)


@pytest.fixture
def origin(office, tmp_path):
    """A round of the team that has its bundle and never trained."""
    made = bundled(office.app, office.team, RoundConfig(method="lora", threads=1), tmp_path)
    with closing(office.app.db()) as db:
        finish_round(db, made.id, state="cancelled")
    return made


@pytest.fixture
def trained(office, origin, tmp_path):
    """A zip of OUT as a training elsewhere would have left it, in a folder of its own."""
    app, out = office.app, tmp_path / "somewhere" / "OUT"
    save_adapter(
        make_tiny_adapter(app.base, tmp_path / "weights"),
        out / "adapter",
        base_fingerprint=app.base.fingerprint,
        method="lora",
        round_id=origin.id,
        metrics={},
        extra={"bundle": bundle_hash(app.datadir.rounds / str(origin.id) / "bundle")},
    )
    figures = {"steps": 4, "seconds": 1.0, "peak_rss_bytes": 1, "learned": 1, "pairs": 6}
    result = {**figures, "epochs": 1.0, "losses": [1.0], "tokens": 9, "stopped": "all passes"}
    (out / "training.json").write_text(json.dumps(result))
    return zipped(out.parent, tmp_path / "OUT.zip")


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    return path


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def fetch(office, address, who="ada"):
    with TestClient(build_server(office.app)) as client:
        cookies = office.people[who].cookies
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        return client.get(address, headers=header, follow_redirects=False)


def test_a_bundle_is_asked_for_twice_fetched_whole_and_on_record(office, form, origin, tmp_path):
    offered = press(office, form.show)[form.round]["choices"]
    assert [value for _, value in offered] == [origin.id]
    asked = press(office, form.ask, origin.id)
    assert "what people wrote" in asked[form.question] and asked[form.sure]["visible"] is True
    with closing(office.app.db()) as db:
        assert copies_of(db, [], [origin.id]) == []
    got = fetch(office, asked[form.fetch]["link"])
    assert got.status_code == 200 and "bundle-" in got.headers["content-disposition"]
    (tmp_path / "got.zip").write_bytes(got.content)
    with zipfile.ZipFile(tmp_path / "got.zip") as archive:
        archive.extractall(tmp_path / "got")
    taken = bundle_hash(tmp_path / "got" / "bundle")
    assert taken == bundle_hash(office.app.datadir.rounds / str(origin.id) / "bundle")
    with closing(office.app.db()) as db:
        (copy,) = copies_of(db, [], [origin.id])
        assert (copy.place, copy.hash) == ("downloaded by ada", taken)
        assert list_audit(db)[0].action == "round exported"
    assert [path.name for path in office.app.datadir.rounds.iterdir()] == [str(origin.id)]


def test_nobody_else_fetches_it(office, origin):
    address = f"/admin/rounds/{origin.id}/bundle.zip"
    for who in ("rita", "mo", "nell", "visitor", "anonymous"):
        got = fetch(office, address, who)
        assert got.status_code in (401, 404), who
        assert not got.content.startswith(b"PK")
    assert fetch(office, "/admin/rounds/99/bundle.zip").status_code == 404
    with closing(office.app.db()) as db:
        assert copies_of(db, [], [origin.id]) == []


def test_what_was_trained_elsewhere_comes_back_and_is_judged(office, form, origin, trained):
    assert press(office, form.bring_back, str(trained))[form.out] is None
    assert not trained.exists()
    with closing(office.app.db()) as db:
        newest = list_rounds(db, office.team.id)[0]
        assert newest.config["trained_elsewhere"] == origin.id
        end = time.monotonic() + 600
        while tuning_round(db, newest.id).finished_at is None and time.monotonic() < end:
            time.sleep(0.1)
        ended = tuning_round(db, newest.id)
        assert (ended.state, ended.error) == ("done", None)
        (made,) = list_adapters(db, office.team.id)
    assert made.round_id == newest.id
    assert office.app.adapter_folder(made.id).is_dir()


def test_what_cannot_be_judged_is_refused_in_a_sentence(office, form, origin, tmp_path):
    (tmp_path / "empty" / "adapter").mkdir(parents=True)
    (tmp_path / "empty" / "adapter" / "adapter_config.json").write_text("{}")
    path = zipped(tmp_path / "empty", tmp_path / "out.zip")
    with pytest.raises(gr.Error, match=r"out\.zip: adapter") as refused:
        press(office, form.bring_back, str(path))
    assert str(office.app.datadir.root) not in str(refused.value)
    assert not path.exists()
    path.write_text("no zip")
    with pytest.raises(gr.Error, match="cannot be read as a zip"):
        press(office, form.bring_back, str(path))
    with closing(office.app.db()) as db:
        assert len(list_rounds(db, office.team.id)) == 1
    assert [path.name for path in office.app.datadir.rounds.iterdir()] == [str(origin.id)]


def test_a_round_elsewhere_or_without_a_bundle_is_not_offered(office, form, origin):
    with pytest.raises(gr.Error, match="no such round"):
        press(office, form.ask, origin.id, workspace=1)
    for chosen in (None, "1", 99):
        with pytest.raises(gr.Error):
            press(office, form.ask, chosen)
    bundle = office.app.datadir.rounds / str(origin.id) / "bundle"
    bundle.rename(bundle.with_name("gone"))
    assert press(office, form.show)[form.round]["choices"] == []
    with pytest.raises(gr.Error, match="start a new round"):
        press(office, form.ask, origin.id)
