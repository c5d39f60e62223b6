"""What a list of feedback is narrowed to, alike by page, by search and as a count."""

import pytest

from storage.errors import BadInput
from storage.feedback import add_feedback, approve, list_feedback, reject
from storage.feedback_search import search_feedback
from storage.queue_filter import Sought, count_sought
from storage.workspaces import set_workspace


@pytest.fixture
def rows(db, reply_to):
    """By name: plain, half (one said yes), far (of a site), done (two did) and refused."""
    set_workspace(db, "default", "two_reviewers", "true")
    made = {}
    for name in ("plain", "half", "far", "done", "refused"):
        made[name] = add_feedback(
            db,
            message_id=reply_to(f"Is {name} a heron?").id,
            origin="widget" if name == "far" else "staff",
            contributor="user:1",
            correction="Yes.",
            reasons=["Wrong"] if name == "half" else [],
            quarantine=name == "far",
            site="site:south" if name == "far" else None,
        ).id
    for who, name in (("cli:a", "half"), ("cli:a", "done"), ("cli:b", "done")):
        approve(db, made[name], reviewer=who)
    reject(db, made["refused"], reviewer="cli:a")
    return made


@pytest.mark.parametrize(
    ("sought", "wanted"),
    [
        ({}, ["refused", "done", "far", "half", "plain"]),
        ({"half": True}, ["half"]),
        ({"half": True, "reason": "Wrong"}, ["half"]),
        ({"half": True, "site": "site:south"}, []),
        ({"site": "site:south"}, ["far"]),
        ({"status": "new"}, ["half", "plain"]),
        ({"waits_for": ["cli:b"]}, ["far", "half", "plain"]),
        ({"waits_for": ["cli:x", "cli:a"]}, ["far", "plain"]),
        ({"waits_for": ["user:1"]}, []),
        ({"waits_for": ["cli:b"], "status": "quarantined"}, ["far"]),
    ],
)
def test_list_search_and_count_agree(db, workspace, rows, sought, wanted):
    ids = [rows[name] for name in wanted]
    assert [one.id for one in list_feedback(db, workspace.id, **sought)] == ids
    found = search_feedback(db, workspace.id, "HERON", **sought)
    assert [one.id for one in found.items] == ids
    assert count_sought(db, workspace.id, Sought(**sought)) == len(ids)
    older = list_feedback(db, workspace.id, before_id=rows["far"], **sought)
    assert [one.id for one in older] == [id for id in ids if id < rows["far"]]


def test_an_unknown_status_is_refused(db, workspace):
    with pytest.raises(BadInput, match="'waiting' is no status: use one of quarantined, new"):
        list_feedback(db, workspace.id, status="waiting")
