"""Which engine answers by which adapter, and that a broken one changes nothing for the others."""

from contextlib import closing

import pytest
from safetensors.numpy import load_file, save_file

from assistant.app import open_app
from assistant.reply import Done, ReplyOptions, reply
from storage.conversations import start_conversation
from storage.errors import BadInput
from tests.made_adapter import made
from tuning.adapter_files import AdapterRefused


def asked(app, workspace, adapter):
    """The reply to one question by this adapter: what was said, and which engine said it."""
    with closing(app.db()) as db:
        conversation = start_conversation(db, workspace.id, "someone")
    options = ReplyOptions(adapter=adapter, max_tokens=12)
    events = list(reply(app, workspace, conversation.id, "someone", "Which?", options=options))
    done = events[-1]
    assert isinstance(done, Done)
    return done.message.content, done.message.engine


def test_replies_go_to_the_engine_that_can_serve_the_adapter(app, workspace, tmp_path):
    plain, other, third = (
        made(app, workspace, kind, tmp_path) for kind in ("rslora", "bottleneck", "ia3")
    )
    assert asked(app, workspace, plain)[1] == "llamacpp"
    assert not app.has("engine beside"), "nothing is held twice before it must be"
    said = {one: asked(app, workspace, one) for one in (other, "base", third, plain)}
    assert [engine for _, engine in said.values()] == [
        "torch_peft",
        "llamacpp",
        "torch_peft",
        "llamacpp",
    ]
    assert len({text for text, _ in said.values()}) == 4
    assert app.engine.adapters() == {plain}
    beside = app.engine_for(other)
    assert beside.adapters() == {other, third}
    app.forget_adapter(other)
    assert beside.adapters() == {third}


def test_a_server_told_to_use_llama_cpp_alone_says_what_it_cannot(settings, tmp_path):
    alone = settings.model_copy(update={"engine": "llamacpp"})
    with open_app(alone) as app:
        from storage.workspaces import workspace

        with closing(app.db()) as db:
            found = workspace(db, "default")
        other = made(app, found, "dora", tmp_path)
        with pytest.raises(BadInput, match="is a DoRA adapter, which llama.cpp cannot serve"):
            app.load_adapter(other)
        assert not app.has("engine beside")


@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
def test_the_old_adapter_goes_on_answering_after_a_refused_one(app, workspace, tmp_path, kind):
    old = made(app, workspace, kind, tmp_path)
    before = asked(app, workspace, old)
    bad = made(app, workspace, kind, tmp_path, seed=2)
    path = app.adapter_folder(bad) / "adapter_model.safetensors"
    save_file({name: values[:1] for name, values in load_file(path).items()}, path)
    with pytest.raises(AdapterRefused) as refused:
        app.load_adapter(bad)
    assert refused.value.reason == "hash"
    assert app.engine_for(old).adapters() == {old}
    assert asked(app, workspace, old) == before
