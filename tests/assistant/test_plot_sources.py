"""Every plot by its name, from real rows."""

from dataclasses import replace

import pytest

from assistant.house_parser import PLOTS
from assistant.plot_sources import NAMES, Wanted, may_have, plot_of
from storage.adapters import add_adapter, promote
from storage.errors import BadInput, NotFound
from storage.rounds import add_metric, create_round, finish_round
from tests.assistant.test_teach_next import asked

__all__ = ["asked"]

SCORES = {
    row: {"new wordings": {"right": right, "total": 13}, "sentinel": {"right": 50, "total": 60}}
    for row, right in (("candidate", 11), ("serving", 2), ("base", 0))
}


@pytest.fixture
def wanted(app, db, workspace):
    return Wanted(app, db, workspace)


@pytest.fixture
def judged(db, workspace):
    """Two rounds that were judged, and the adapter of the second one serves."""
    for _ in range(2):
        item = create_round(db, workspace.id, config={}, base_fingerprint="f" * 64)
        for step, loss in ((1, 2.0), (2, 0.5)):
            add_metric(db, item.id, step, "loss", loss)
            add_metric(db, item.id, step, "learning_rate", loss / 1000)
        finish_round(db, item.id, state="done", verdict="promote", scores={"scores": SCORES})
    made = add_adapter(
        *(db, workspace.id),
        round_id=item.id,
        parent_id=None,
        base_fingerprint="f" * 64,
        method="lora",
        manifest_hash="m",
        metrics=SCORES,
    )
    promote(db, made.id, actor="gate")
    return item.id


def test_the_command_line_knows_them_all():
    assert PLOTS == NAMES


def test_plots_of_rounds(wanted, judged):
    assert plot_of(wanted, "loss", judged).rows == [(1, 2.0), (2, 0.5)]
    assert plot_of(wanted, "rate").rows == [(1, 0.002), (2, 0.0005)]
    assert plot_of(wanted, "rounds", judged).rows[1][:4] == ("New wordings", "after", 11, 13)
    assert [row[0] for row in plot_of(wanted, "history").rows] == [judged - 1, judged]
    (row,) = plot_of(wanted, "adapters").rows
    assert row[3:6] == ("serves", 11, 13)


def test_the_newest_round_that_has_it(wanted, db, judged):
    running = create_round(db, wanted.workspace.id, config={}, base_fingerprint="f" * 64)
    add_metric(db, running.id, 1, "loss", 9.0)
    assert plot_of(wanted, "loss").rows[0] == (1, 2.0)
    with pytest.raises(NotFound, match=f"nothing to draw of round {running.id}: the plot rounds"):
        plot_of(wanted, "rounds", running.id)


def test_the_map_is_drawn_of_what_was_asked(wanted, app, asked, tmp_path):
    from tests.assistant.command_line import run_verb

    (tmp_path / "shipping.md").write_text("# Shipping\n\nCanada is reached within ten days.")
    run_verb(
        *(app, "ingest"),
        workspace="default",
        paths=[str(tmp_path / "shipping.md")],
        site=None,
        max_pages=None,
        hosts=[],
    )
    notes = []
    plot = plot_of(replace(wanted, on_progress=lambda share, note: notes.append(note)), "map")
    questions = [row[2] for row in plot.rows if row[0] == "question"]
    assert len(questions) == 4 and "shipping" in questions[-1].lower() or "canada" in questions[-1]
    assert {row[5] for row in plot.rows if row[0] == "question"} == {"shipping.md"}
    assert notes[0] == "reading the passages"


@pytest.mark.parametrize("name", NAMES)
def test_where_there_is_nothing_yet_a_sentence_says_so(wanted, name):
    with pytest.raises(NotFound, match=f"nothing to draw .*the plot {name} needs"):
        plot_of(wanted, name)


def test_what_is_no_plot_is_refused(wanted, judged, people):
    with pytest.raises(BadInput, match="no plot 'pie': there are loss, rate"):
        plot_of(wanted, "pie")
    with pytest.raises(BadInput, match="of no single round"):
        plot_of(wanted, "ratings", judged)
    with pytest.raises(NotFound, match="There is no round 99"):
        plot_of(wanted, "loss", 99)
    other = replace(wanted.workspace, id=wanted.workspace.id + 1, name="team")
    with pytest.raises(NotFound, match="is of the workspace 'default': add --workspace default"):
        plot_of(replace(wanted, workspace=other), "loss", judged)


def test_who_sees_which(people):
    seen = {who: {n for n in NAMES if may_have(one.person, n)} for who, one in people.items()}
    assert seen["ada"] == set(NAMES) and seen["rita"] == seen["vic"] == {"ratings", "map"}
    assert not any(seen[who] for who in people if who not in ("ada", "rita", "vic"))
