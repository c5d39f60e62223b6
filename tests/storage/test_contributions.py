"""Which of a person's corrections are live, and since when."""

from storage.adapters import add_adapter, promote, rollback
from storage.contributions import learned_now, newest_live_correction
from storage.feedback import approve, reject
from storage.records import RoundExample
from storage.rounds import create_round


def test_the_one_that_came_into_service_last(db, workspace, corrected):
    first, second = corrected("q1", "a1"), corrected("q2", "a2")
    who = first.contributor
    assert newest_live_correction(db, workspace.id, who) is None
    for given in (first, second):
        approve(db, given.id, reviewer="user:9")
    live = newest_live_correction(db, workspace.id, who)
    assert (live.feedback_id, live.question, live.adapter_id) == (second.id, "q2", None)
    example = RoundExample(0, "correction", "train", first.id, "g", "h")
    made = create_round(db, workspace.id, config={}, base_fingerprint="b", examples=[example])
    version = add_adapter(
        db,
        workspace.id,
        round_id=made.id,
        parent_id=None,
        base_fingerprint="b",
        method="lora",
        manifest_hash="m",
    )
    assert learned_now(db, workspace.id) == {}
    promote(db, version.id, actor="user:9", override_reason="a test")
    assert learned_now(db, workspace.id) == {first.id: version.id}
    live = newest_live_correction(db, workspace.id, who)
    assert (live.feedback_id, live.adapter_id) == (first.id, version.id)
    assert newest_live_correction(db, workspace.id, "user:77") is None
    rollback(db, workspace.id, actor="user:9")
    reject(db, second.id, reviewer="user:9")
    live = newest_live_correction(db, workspace.id, who)
    assert (live.feedback_id, live.adapter_id) == (first.id, None)
