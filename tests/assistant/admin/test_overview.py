"""The overview: counts for reviewers, the house for admins, health on a press."""

import gradio as gr
import pytest

from assistant.admin.overview import OverviewTab
from assistant.overview import disk_use
from assistant.security import may_administer, may_review


@pytest.fixture
def first(tab):
    return tab(OverviewTab)


def test_counts_and_ratings_of_the_workspace(office, first):
    office.correction("How long?", None)  # a thumb down
    shown = office.press("rita", may_review, first.show)
    counts = shown[first.counts]
    assert "<dd>1</dd>" in counts and "the base model" in counts and "1 (see Gaps)" in counts
    assert "0 good, 1 bad" in shown[first.ratings]
    empty = office.press("rita", may_review, first.show, workspace=1)
    assert "Nobody has rated" in empty[first.ratings]


def test_the_house_is_for_admins(office, first):
    assert first.house not in office.press("rita", may_review, first.show)
    shown = office.press("ada", may_review, first.show)
    assert shown[first.house]["visible"] and "<dt>database</dt>" in shown[first.disk]
    assert "<td>site</td><td>embed</td><td>the base</td>" in shown[first.serving]
    with pytest.raises(gr.Error, match="may not do this"):
        office.press("rita", may_administer, first.examine)


def test_health_is_what_the_doctor_finds(office, first):
    (office.app.datadir.adapters / "stray").mkdir()
    said = office.press("ada", may_administer, first.examine)[first.findings]
    assert "rows, unaltered" in said and "checks in" in said


def test_each_folder_is_weighed(tmp_path):
    (tmp_path / "rounds" / "1").mkdir(parents=True)
    (tmp_path / "rounds" / "1" / "log").write_bytes(b"1234")
    (tmp_path / "apprentice.db").write_bytes(b"12")
    (tmp_path / "link").symlink_to("/nowhere")
    assert disk_use(tmp_path)["rounds"] == 4
    assert disk_use(tmp_path)["database"] == 2 + len("/nowhere")
