import sqlite3

import pytest

from storage.adapters import (
    adapter,
    add_adapter,
    copy_of,
    delete_adapter,
    known_adapter,
    learned_from,
    lineage,
    list_adapters,
    note_judged,
    promote,
    refuse_tainted_copy,
    reject_adapter,
    rollback,
    rounds_of,
    serving_adapter,
    taint,
)
from storage.audit import list_audit
from storage.database import write, write_transaction
from storage.errors import NotFound, Refused
from storage.records import RoundExample
from storage.rounds import create_round, finish_round
from storage.workspaces import create_workspace

ADMIN = {"actor": "user:1"}


def _serving(db, workspace):
    known = serving_adapter(db, workspace.id)
    return known.id if known else None


def test_a_new_adapter_is_a_candidate_and_serves_nobody(db, workspace, candidate):
    made = candidate(metrics={"loss": 0.5})
    assert made == adapter(db, made.id)
    assert (made.status, made.metrics, made.parent_id) == ("candidate", {"loss": 0.5}, None)
    assert serving_adapter(db, workspace.id) is None


def test_promoting_retires_what_served(db, workspace, candidate):
    first, second = candidate(), candidate()
    promote(db, first.id, **ADMIN)
    assert promote(db, second.id, **ADMIN).status == "serving"
    assert adapter(db, first.id).status == "retired"
    assert serving_adapter(db, workspace.id) == adapter(db, second.id)
    assert [known.id for known in list_adapters(db, workspace.id)] == [second.id, first.id]
    entry = list_audit(db, 1)[0]
    assert (entry.actor, entry.action) == ("user:1", "adapter promoted")
    assert entry.subject == f"adapter:{second.id}"


def test_two_serving_adapters_are_impossible(db, workspace, candidate):
    promote(db, candidate().id, **ADMIN)
    other = candidate()
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"), write_transaction(db):
        write(db, "update adapters set status = 'serving' where id = ?", other.id)


def test_each_workspace_has_its_own(db, workspace, candidate):
    promote(db, candidate().id, **ADMIN)
    other = create_workspace(db, "other")
    imported = add_adapter(
        *(db, other.id),
        round_id=None,
        parent_id=None,
        base_fingerprint="b",
        method="qlora",
        manifest_hash="m",
    )
    promote(db, imported.id, **ADMIN, override_reason="tested by hand")
    assert _serving(db, workspace) != _serving(db, other) == imported.id


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("reject", "the gate said 'reject'"),
        ("not enough evidence", "the gate said 'not enough evidence'"),
        (None, "the gate has not judged it"),
    ],
)
def test_nothing_serves_without_the_gate_or_a_named_override(
    db, workspace, candidate, verdict, said
):
    made = candidate(verdict)
    for reason in (None, "", "  "):
        with pytest.raises(Refused, match=f"{said}.*naming a reason"):
            promote(db, made.id, **ADMIN, override_reason=reason)
    assert serving_adapter(db, workspace.id) is None
    promote(db, made.id, **ADMIN, override_reason="the checks were wrong")
    assert list_audit(db, 1)[0].detail == {"overridden": said, "reason": "the checks were wrong"}


def test_an_imported_and_a_rejected_one_need_an_override(db, candidate):
    with pytest.raises(Refused, match="imported"):
        promote(db, candidate(round_id=None).id, **ADMIN)
    rejected = reject_adapter(db, candidate().id)
    with pytest.raises(Refused, match="it is rejected"):
        promote(db, rejected.id, **ADMIN)
    assert promote(db, rejected.id, **ADMIN, override_reason="for an hour").status == "serving"


def test_a_tainted_one_never_serves_again_whatever_the_reason(db, workspace, candidate):
    first, second = candidate(), candidate()
    for known in (first, second):
        promote(db, known.id, **ADMIN)
    assert taint(db, [second.id], **ADMIN) == {workspace.id: first.id}
    assert _serving(db, workspace) == first.id
    with pytest.raises(NotFound, match="learned from what was erased"):
        promote(db, second.id, **ADMIN, override_reason="for an hour")
    assert [known.id for known in list_adapters(db, workspace.id)] == [first.id]
    assert known_adapter(db, second.id).status == "tainted"
    with write_transaction(db):  # one whose files are still there
        write(db, "update adapters set deleted_at = null where id = ?", second.id)
    with pytest.raises(Refused, match="learned from what was erased"):
        promote(db, second.id, **ADMIN, override_reason="for an hour")


def test_a_copy_of_a_tainted_one_does_not_come_back(db, candidate):
    known = candidate(manifest_hash="a" * 64)
    refuse_tainted_copy(db, known.manifest_hash)
    taint(db, [known.id], **ADMIN)
    with pytest.raises(Refused, match=f"files of adapter {known.id}"):
        refuse_tainted_copy(db, known.manifest_hash)
    refuse_tainted_copy(db, "b" * 64)


def test_in_place_of_a_tainted_one_comes_what_served_or_passed_before_else_the_base(
    db, workspace, candidate
):
    waiting = candidate()
    other_base = candidate(base_fingerprint="another")
    rejected = candidate("reject")
    serving = candidate()
    promote(db, serving.id, **ADMIN)
    assert taint(db, [serving.id], **ADMIN) == {workspace.id: waiting.id}
    assert taint(db, [waiting.id], **ADMIN) == {workspace.id: None}
    assert _serving(db, workspace) is None
    assert adapter(db, other_base.id).status == "candidate"
    assert taint(db, [rejected.id], **ADMIN) == {}


def test_who_learned_from_a_row_is_found_through_parents_and_only_where_it_trained(
    db, candidate, corrected
):
    one = corrected("q1", "a", yes=True).id
    taught = candidate(examples=[RoundExample(0, "correction", "train", one, "n", "h")])
    child = candidate(parent_id=taught.id)
    grandchild = candidate(parent_id=child.id)
    candidate(examples=[RoundExample(0, "correction", "new wordings", one, "n", "h")])
    assert learned_from(db, [one]) == [taught.id, child.id, grandchild.id]
    assert learned_from(db, []) == []
    assert rounds_of(db, grandchild.id) == [
        grandchild.round_id,
        child.round_id,
        taught.round_id,
    ]


def test_the_serving_one_cannot_be_promoted_rejected_or_deleted(db, candidate):
    made = promote(db, candidate().id, **ADMIN)
    with pytest.raises(Refused, match="serves already"):
        promote(db, made.id, **ADMIN, override_reason="again")
    with pytest.raises(Refused, match="roll back"):
        reject_adapter(db, made.id)
    with pytest.raises(Refused, match="roll back"):
        delete_adapter(db, made.id)


def test_rolling_back_goes_step_by_step_to_the_base(db, workspace, candidate):
    a, b, c = (promote(db, candidate().id, **ADMIN).id for _ in range(3))
    assert rollback(db, workspace.id, **ADMIN).id == b
    assert rollback(db, workspace.id, **ADMIN).id == a
    assert rollback(db, workspace.id, **ADMIN) is None
    assert serving_adapter(db, workspace.id) is None
    assert {adapter(db, known).status for known in (a, b, c)} == {"retired"}
    with pytest.raises(Refused, match="nothing to roll back"):
        rollback(db, workspace.id, **ADMIN)


def test_what_was_rolled_back_from_is_not_rolled_back_to(db, workspace, candidate):
    a, b = (promote(db, candidate().id, **ADMIN).id for _ in range(2))
    rollback(db, workspace.id, **ADMIN)
    promote(db, candidate().id, **ADMIN)
    assert rollback(db, workspace.id, **ADMIN).id == a
    # a retired one may serve again, and then counts as what served last
    promote(db, b, **ADMIN)
    promote(db, a, **ADMIN)
    assert rollback(db, workspace.id, **ADMIN).id == b
    assert rollback(db, workspace.id, **ADMIN).id == a
    assert rollback(db, workspace.id, **ADMIN) is None


def test_rolling_back_passes_over_what_may_not_serve(db, workspace, candidate):
    a, b, c, _ = (promote(db, candidate().id, **ADMIN).id for _ in range(4))
    delete_adapter(db, c)
    reject_adapter(db, b)
    assert rollback(db, workspace.id, **ADMIN).id == a
    entry = list_audit(db, 1)[0]
    assert (entry.action, entry.detail["to"]) == ("adapter rolled back", a)


def test_a_deleted_one_is_gone_but_its_lineage_is_not(db, workspace, candidate, corrected):
    old, new = corrected("q1", "a", yes=True).id, corrected("q2", "a", yes=True).id
    first = candidate(examples=[RoundExample(0, "correction", "train", old, "n1", "h1")])
    second = candidate(
        parent_id=first.id,
        examples=[
            RoundExample(0, "correction", "train", new, "n2", "h2"),
            RoundExample(0, "replay", "train", old, "n1", "h1"),
            RoundExample(0, "correction", "new wordings", new, "n2", "h3"),
        ],
    )
    assert delete_adapter(db, first.id) == first
    assert list_adapters(db, workspace.id) == [second]
    for ask in (adapter, delete_adapter, reject_adapter):
        with pytest.raises(NotFound, match=f"no adapter {first.id}.*adapters list"):
            ask(db, first.id)
    taught = [(known.feedback_id, known.kind, known.split) for known in lineage(db, second.id)]
    assert taught == [
        (new, "correction", "train"),
        (old, "replay", "train"),
        (new, "correction", "new wordings"),
        (old, "correction", "train"),
    ]


def test_a_round_may_start_from_an_adapter(db, workspace, candidate):
    start = candidate()
    begun = create_round(
        db, workspace.id, config={}, base_fingerprint="b", start_adapter_id=start.id
    )
    assert begun.start_adapter_id == start.id


def test_a_judged_import_may_be_promoted_and_is_nobodys_stand_in(db, workspace, candidate):
    taken = candidate(round_id=None, manifest_hash="t")
    base = taken.base_fingerprint
    judging = create_round(db, workspace.id, config={"imported": 1}, base_fingerprint=base)
    finish_round(db, judging.id, state="done", verdict="promote")
    assert note_judged(db, taken.id, judging.id, {"right": 3}).round_id == judging.id
    serving = promote(db, candidate().id, **ADMIN)
    assert taint(db, [serving.id], **ADMIN) == {workspace.id: None}
    assert copy_of(db, workspace.id, "t").id == taken.id
    assert copy_of(db, workspace.id, "0" * 64) is None
    assert promote(db, taken.id, **ADMIN).status == "serving"
