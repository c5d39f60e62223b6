"""Which adapters a client may name: those that serve or have served, of its own workspaces."""

from contextlib import closing

import pytest

from assistant.api.models import chosen_model, list_models
from storage.adapters import add_adapter, promote, reject_adapter, taint
from storage.errors import NotFound
from storage.keys import create_key
from storage.workspaces import create_workspace, delete_workspace, workspace
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter


def adapters(db, workspace_id):
    """Adapters 1 to 5: retired, tainted, serving, rejected, candidate."""
    row = {"round_id": None, "parent_id": None, "base_fingerprint": "f", "method": "lora"}
    made = [add_adapter(db, workspace_id, **row, manifest_hash=str(n)).id for n in range(5)]
    for one in made[:3]:
        promote(db, one, actor="x", override_reason="test")
    taint(db, [made[1]], actor="x")
    reject_adapter(db, made[3])
    return made


def test_only_what_the_gate_let_pass_can_be_asked(db):
    default, team = workspace(db, "default"), create_workspace(db, "team")
    made = adapters(db, default.id)
    key, _ = create_key(db, "shop", workspace_id=default.id, actor="x")
    names = {item["id"] for item in list_models(db, key)}
    assert names == {"default", "default@base", f"default@{made[0]}", f"default@{made[2]}"}
    assert chosen_model(db, key, "default")[1] == "serving"
    assert chosen_model(db, key, f"default@{made[0]}") == (default, made[0])
    other, _ = create_key(db, "till", workspace_id=team.id, actor="x")
    strange = [f"default@{one}" for one in (made[1], made[3], made[4])] + [
        "team",
        f"team@{made[2]}",
    ]
    for name in [*strange, f"default@0{made[2]}", f"default@{made[2]}@", "default@serving"]:
        with pytest.raises(NotFound, match="no model"):
            chosen_model(db, key, name)
    with pytest.raises(NotFound, match="no model"):
        chosen_model(db, other, f"team@{made[2]}")


def test_an_answer_names_the_adapter_that_made_it(service, tmp_path):
    app = service.app
    raw = make_tiny_adapter(app.base, tmp_path / "raw")
    base = {"base_fingerprint": app.base.fingerprint, "method": "lora", "round_id": None}
    save_adapter(raw, tmp_path / "made", **base, metrics={})
    with closing(app.db()) as db:
        taught = create_workspace(db, "taught").id
        marks = {"parent_id": None, "manifest_hash": manifest_hash(tmp_path / "made")}
        made = add_adapter(db, taught, **base, **marks).id
        (tmp_path / "made").rename(app.adapter_folder(made))
        promote(db, made, actor="x", override_reason="test")
    try:
        said = {}
        for model in ("taught", f"taught@{made}", "taught@base"):
            answer = service.client().chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Which orders?"}], max_tokens=8
            )
            assert answer.model == model
            said[model] = answer.choices[0].message.content, answer.system_fingerprint
        short = app.base.fingerprint[:12]
        assert said["taught"] == said[f"taught@{made}"] != said["taught@base"]
        assert said["taught"][1] == f"{short}-{made}" and said["taught@base"][1] == f"{short}-base"
    finally:
        with closing(app.db()) as db:
            delete_workspace(db, "taught")
