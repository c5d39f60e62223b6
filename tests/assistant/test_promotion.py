"""An adapter is let serve only on its own base, and only with its own files."""

from contextlib import closing

import pytest

from storage.adapters import add_adapter, serving_adapter
from storage.errors import Refused
from storage.rounds import create_round, finish_round
from tests.assistant.command_line import run_verb
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import AdapterRefused, manifest_hash, save_adapter


@pytest.fixture
def make(app, workspace, tmp_path):
    """Makes an adapter that its round's gate promoted, for a base of this fingerprint."""

    def made(base: str) -> int:
        weights = make_tiny_adapter(app.base, tmp_path / base[:6])
        with closing(app.db()) as db:
            judged = create_round(db, workspace.id, config={}, base_fingerprint=base)
            finish_round(db, judged.id, state="done", verdict="promote")
            facts = {"base_fingerprint": base, "method": "lora", "round_id": judged.id}
            folder = app.adapter_folder(judged.id)
            save_adapter(weights, folder, metrics={}, **facts)
            hash = manifest_hash(folder)
            return add_adapter(db, workspace.id, parent_id=None, manifest_hash=hash, **facts).id

    return made


def serving(app, workspace):
    with closing(app.db()) as db:
        found = serving_adapter(db, workspace.id)
    return found.id if found else None


def test_another_base_s_is_refused_even_with_a_reason(app, workspace, make):
    other, ours = make("0" * 64), make(app.base.fingerprint)
    for reason in (None, "I want it."):
        with pytest.raises(Refused, match="made for the base model 0{12} and may not serve on"):
            run_verb(app, "adapters promote", id=other, reason=reason)
    assert serving(app, workspace) is None
    run_verb(app, "adapters promote", id=ours)
    assert serving(app, workspace) == ours


def test_files_that_are_not_those_of_the_row_never_serve(app, workspace, make):
    one = make(app.base.fingerprint)
    (app.adapter_folder(one) / "README.md").write_text("other")
    with pytest.raises(AdapterRefused):
        run_verb(app, "adapters promote", id=one)
    assert serving(app, workspace) is None
