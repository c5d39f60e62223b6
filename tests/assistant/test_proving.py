"""What an engine holds is what the round made, or something else answers and everybody is told."""

from contextlib import closing

import pytest

from assistant.app import open_app
from assistant.engines.lora_gguf import write_adapter_gguf
from assistant.proving import NATS, distance, probe, probe_prompts
from assistant.reply import Done, ReplyOptions, reply
from storage.adapters import promote, serving_adapter
from storage.audit import list_audit
from storage.conversations import start_conversation
from storage.database import write, write_transaction
from storage.proofs import put_proof, unproved
from tests.assistant.command_line import run_verb
from tests.made_adapter import made
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import GGUF, AdapterRefused


def asked(app, workspace):
    """The reply by what serves, with its notices."""
    with closing(app.db()) as db:
        talk = start_conversation(db, workspace.id, "someone")
    options = ReplyOptions(max_tokens=4)
    *_, done = reply(app, workspace, talk.id, "someone", "Which?", options=options)
    assert isinstance(done, Done)
    return done


def serve(app, adapter_id):
    with closing(app.db()) as db:
        promote(db, adapter_id, actor="user:1", override_reason="a test")


def other_proof(app, adapter_id, engine="llamacpp"):
    """Keep for this adapter what quite another one says: the engine then holds the wrong one."""
    from assistant.signing import key_of

    ids = probe_prompts(app, "Be brief.")[1]
    said = {"prompt_ids": ids, "likeliest": [[5, -0.01], [6, -9.0]]}
    with closing(app.db()) as db:
        put_proof(db, adapter_id, engine, said, key_of(app.settings))


@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
def test_the_same_weights_say_the_same_and_others_do_not(app, workspace, tmp_path, kind):
    one, two = (made(app, workspace, kind, tmp_path, seed=seed) for seed in (1, 2))
    ids = probe_prompts(app, workspace.instructions)
    said = {}
    for known in (one, two):
        app.load_adapter(known)
        said[known] = probe(app.engine_for(known), known, ids)
    said[None] = probe(app.engine_for(one), None, ids)
    assert all(len(found["likeliest"]) == 9 for found in said.values())
    assert distance(said[one], probe(app.engine_for(one), one, ids)) < NATS / 5
    for left, right in ((one, two), (one, None), (two, None)):
        assert distance(said[left], said[right]) > NATS


def test_a_spoilt_form_beside_the_files_is_made_anew(settings, workspace, app, tmp_path):
    """It is in no manifest, so verifying does not see it."""
    mine = made(app, workspace, "lora", tmp_path)
    app.load_adapter(mine)  # keeps what is said by it
    folder = app.adapter_folder(mine)
    good = (folder / GGUF).read_bytes()
    app.forget_adapter(mine)
    wrong = make_tiny_adapter(app.base, tmp_path / "wrong", seed=9)
    write_adapter_gguf(wrong, app.base.folder, folder / GGUF)
    assert (folder / GGUF).read_bytes() != good
    app.load_adapter(mine)
    assert (folder / GGUF).read_bytes() == good
    with closing(app.db()) as db:
        act = list_audit(db, action="adapter made anew for engine")[0]
        assert act.subject == f"adapter:{mine}"


def test_the_last_good_one_answers_for_one_that_is_not_proved(app, workspace, tmp_path):
    good, bad = (made(app, workspace, "lora", tmp_path, seed=seed) for seed in (1, 2))
    serve(app, good)
    before = asked(app, workspace)
    assert before.message.adapter_id == good and not before.notices
    other_proof(app, bad)
    serve(app, bad)
    done = asked(app, workspace)
    assert done.message.adapter_id == good
    assert done.message.content == before.message.content
    assert f"Answered by adapter {good}, not by adapter {bad}" in done.notices[0]
    assert asked(app, workspace).notices == ()
    with closing(app.db()) as db:
        assert serving_adapter(db, workspace.id).id == good
        assert f"adapter {bad} did not say by llamacpp" in unproved(db, workspace.id)
    (shown,), _ = run_verb(app, "overview", workspace="default")
    assert f"adapter {bad} did not say" in shown["unproved"]


def test_none_is_good_then_the_base_answers_and_a_person_may_trust_it(app, workspace, tmp_path):
    bad = made(app, workspace, "lora", tmp_path)
    other_proof(app, bad)
    serve(app, bad)
    done = asked(app, workspace)
    assert done.message.adapter_id is None and "by the base model" in done.notices[0]
    run_verb(app, "adapters sign", ids=[bad])
    serve(app, bad)
    assert asked(app, workspace).message.adapter_id == bad


def test_a_proof_that_was_changed_proves_nothing(app, workspace, tmp_path):
    mine = made(app, workspace, "lora", tmp_path)
    app.load_adapter(mine)
    app.forget_adapter(mine)
    with closing(app.db()) as db, write_transaction(db):
        write(db, "update adapter_proofs set proof = replace(proof, '-', '-1')")
    with pytest.raises(AdapterRefused, match="was changed since it was kept") as refused:
        app.load_adapter(mine)
    assert refused.value.reason == "proof"


def test_what_was_proved_is_proved_after_a_restart(settings, tmp_path):
    with open_app(settings) as first:
        from storage.workspaces import workspace

        with closing(first.db()) as db:
            home = workspace(db, "default")
        mine = made(first, home, "lora", tmp_path)
        first.load_adapter(mine)
        (first.adapter_folder(mine) / GGUF).unlink()
    with open_app(settings) as second:
        second.load_adapter(mine)
        with closing(second.db()) as db:
            assert list_audit(db, action="adapter made anew for engine") == []
