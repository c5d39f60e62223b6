"""Dials that a workspace keeps: typed once, under what a round is asked for, over the server's."""

import pytest

from assistant.dials import dials_as_declared, with_own_dials
from assistant.round_plan import plan_round
from storage.errors import BadInput
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb, write_rows


def test_dials_are_kept_with_their_types():
    assert dials_as_declared('{"rank": "8", "epochs": 4.0}') == '{"rank": 8, "epochs": 4}'
    assert dials_as_declared(" ") == "{}"


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ('{"wording": 0}', "no setting 'wording'"),
        ('{"rank": 0}', "rank is 0; a round takes 1 to 256"),
        ('{"rank": true}', "rank is True; a round takes a int"),
        ('{"layers": NaN}', "layers is nan"),
        ('{"method": "magic"}', "method is 'magic'"),
        ('{"rank": [8]}', "give a JSON object"),
        ('["rank"]', "give a JSON object"),
        ("rank=8", "give a JSON object"),
        ("[" * 100_000, "give a JSON object"),
    ],
)
def test_a_dial_that_cannot_be_is_named(typed, named):
    with pytest.raises(BadInput, match=named):
        dials_as_declared(typed)


@pytest.fixture
def own(app, workspace, tmp_path):
    """The workspace with corrections, minutes and dials of its own."""
    rows = [
        {"question": f"What is {n}?", "correction": f"It is {n}.", "group": f"need {n // 3}"}
        for n in range(9)
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    db = app.db()
    set_workspace(db, "default", "round_minutes", "20")
    dials = '{"rank": 4, "method": "dora", "threads": 1}'
    return set_workspace(db, "default", "dials", dials)


def test_a_workspaces_own_dials_stand_over_the_servers_and_under_what_is_asked(app, own):
    config = plan_round(app, own).config
    assert (config.rank, config.method, config.threads) == (4, "dora", 1)
    assert (config.max_minutes, config.alpha) == (20, 32)
    config = plan_round(app, own, {"rank": "2", "max_minutes": 5}).config
    assert (config.rank, config.method, config.max_minutes) == (2, "dora", 5)
    assert with_own_dials(own, None) == {"rank": 4, "method": "dora", "threads": 1}


def test_minutes_among_the_dials_stand_over_the_workspaces_minutes(app, own):
    changed = set_workspace(app.db(), "default", "dials", '{"max_minutes": 7}')
    assert plan_round(app, changed).config.max_minutes == 7
