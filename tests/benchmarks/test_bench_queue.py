"""The queue in small: each way shows a page, and the rows are as reviews leave them."""

from contextlib import closing

from storage.feedback import count_feedback, feedback
from storage.overrides import override_of
from tests.benchmarks.bench_queue import handlers, queue, timed


def test_each_way_shows_a_page_of_its_own(tmp_path):
    with queue(tmp_path, 700) as (app, ada):
        with closing(app.db()) as db:
            counts = count_feedback(db, 1)
            approved = feedback(db, 100)
            assert counts == {"quarantined": 140, "new": 273, "approved": 7, "rejected": 280}
            assert override_of(db, 100).answer == approved.approved_correction
        ways = handlers(app, ada)
        firsts = {name: shown(way()) for name, way in ways.items()}
        assert len({rows[0] for rows in firsts.values() if rows}) == 6
        assert not firsts["first page of stale"]
        found = timed(ways, 2)
    assert {len(times) for times in found.values()} == {2}


def shown(updates) -> list[int]:
    """The ids in the list; the handler's answer names its parts by component."""
    rows = next(part for part in updates if part.elem_id == "rows")
    return [id for _, id in updates[rows]["choices"]]
