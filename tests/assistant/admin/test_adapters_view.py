"""Adapters in words."""

from assistant.admin.adapters_view import STATUS_NAMES, adapter_label, adapter_table
from storage.records import Adapter


def adapter(**more):
    known = {"id": 3, "workspace_id": 1, "round_id": 2, "parent_id": None, "status": "serving"}
    known |= {"base_fingerprint": "f", "method": "qlora", "manifest_hash": "h"}
    return Adapter(**(known | {"metrics": {}, "created_at": "2026-11-21T04:58:26.000Z"} | more))


def test_a_row_says_where_it_came_from_and_how_it_was_judged():
    shown = adapter_table([adapter(), adapter(id=4, round_id=None)], {2: "promote"})
    measured = {"candidate": {"new wordings": {"right": 9, "total": 10}}}
    assert "new wordings 9 of 10" in adapter_table([adapter(metrics=measured)], {})
    assert "<td>serving now</td><td>round 2</td><td>promote</td>" in shown
    assert "<td>imported</td><td>not judged</td>" in shown
    judged = adapter_table([adapter(status="candidate")], {2: "reject"}, imported=[2])
    assert "<td>candidate</td><td>imported, round 2</td><td>reject</td>" in judged


def test_no_adapter_is_said_in_a_sentence():
    assert "the base model answers" in adapter_table([], {})


def test_labels_tell_adapters_apart():
    assert adapter_label(adapter()) == "3 · serving now · 2026-11-21 04:58"


def test_every_status_has_a_name():
    assert set(STATUS_NAMES) == {"candidate", "serving", "retired", "rejected", "tainted"}
