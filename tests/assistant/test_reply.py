"""One turn, end to end on a real (tiny) model, a real SQLite file and a real Chroma folder."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from assistant.prompt import build_messages
from assistant.reply import Delta, Done, ReplyOptions, reply
from storage.adapters import add_adapter, promote
from storage.conversations import message, messages_of, start_conversation
from storage.errors import BadInput, NotFound
from storage.feedback import add_feedback, approve
from storage.overrides import note_learned
from storage.workspaces import create_workspace, set_workspace

SHORT = ReplyOptions(max_tokens=8)


def ask(app, workspace, question, *, conversation=None, owner="cli", options=SHORT, cancel=None):
    """The whole reply: its pieces joined, and the final `Done`."""
    with closing(app.db()) as db:
        conversation = conversation or start_conversation(db, workspace.id, owner).id
    events = list(
        reply(app, workspace, conversation, owner, question, options=options, cancel=cancel)
    )
    assert isinstance(events[-1], Done)
    return "".join(event.text for event in events if isinstance(event, Delta)), events[-1]


def correct(app, done: Done, wanted: str):
    with closing(app.db()) as db:
        given = add_feedback(
            db,
            message_id=done.message.id,
            origin="staff",
            contributor="user:1",
            correction=wanted,
        )
        return approve(db, given.id, reviewer="user:1")


def test_reply_is_saved_with_everything_it_was_made_from(app, workspace):
    text, done = ask(app, workspace, "How do I return a product?")
    with closing(app.db()) as db:
        saved = message(db, done.message.id)
        thread = messages_of(db, saved.conversation_id)
    assert [item.role for item in thread] == ["user", "assistant"]
    assert saved.content == text.strip()
    assert saved.finish_reason in ("stop", "length")
    assert saved.base_fingerprint == app.base.fingerprint
    assert saved.engine == "llamacpp"
    assert saved.prompt_tokens == len(saved.sent_ids)
    rebuilt = app.tokenizer.render(build_messages(saved.inputs))
    assert tuple(rebuilt) == saved.sent_ids


def test_history_reaches_the_second_turn(app, workspace):
    _, first = ask(app, workspace, "First?")
    _, second = ask(app, workspace, "Second?", conversation=first.message.conversation_id)
    assert [turn["content"] for turn in second.message.inputs.history] == [
        "First?",
        first.message.content,
    ]


def test_retry_is_a_variant_of_the_old_reply(app, workspace):
    _, first = ask(app, workspace, "Again?")
    options = ReplyOptions(max_tokens=8, variant_of=first.message.id)
    _, second = ask(app, workspace, "", conversation=first.message.conversation_id, options=options)
    assert second.message.variant_of == first.message.id
    assert second.message.parent_id == first.message.parent_id
    assert second.message.sent_ids == first.message.sent_ids


@pytest.mark.parametrize("question", ["", "   \n", "\x00"])
def test_empty_question_is_refused_and_nothing_saved(app, workspace, question):
    with closing(app.db()) as db:
        conversation = start_conversation(db, workspace.id, "cli")
        with pytest.raises(BadInput, match="empty"):
            list(reply(app, workspace, conversation.id, "cli", question))
        assert messages_of(db, conversation.id) == []


@pytest.mark.parametrize("size", [600, 400_000])
def test_question_longer_than_the_context_names_the_numbers(app, workspace, size):
    with closing(app.db()) as db:
        conversation = start_conversation(db, workspace.id, "cli")
        with pytest.raises(BadInput, match=r"tokens long, but only 256 fit"):
            list(reply(app, workspace, conversation.id, "cli", "word " * size))
        assert messages_of(db, conversation.id) == []


def test_somebody_elses_conversation_does_not_exist(app, workspace):
    _, done = ask(app, workspace, "Mine?", owner="user:1")
    with pytest.raises(NotFound):
        ask(app, workspace, "Yours?", conversation=done.message.conversation_id, owner="user:2")


def test_conversation_of_another_workspace_does_not_exist(app, workspace):
    _, done = ask(app, workspace, "Here?")
    with closing(app.db()) as db:
        other = create_workspace(db, "other")
    with pytest.raises(NotFound):
        ask(app, other, "There?", conversation=done.message.conversation_id)


def test_approved_correction_answers_the_same_question_at_once(app, workspace):
    _, wrong = ask(app, workspace, "List the completed orders.")
    correct(app, wrong, "SELECT * FROM sales_orders;")
    text, done = ask(app, workspace, "  list the COMPLETED orders ")
    assert text == "SELECT * FROM sales_orders;"
    assert done.override is not None
    assert done.message.finish_reason == "override"
    assert "approved correction" in done.notices[0]
    asked_again, _ = ask(
        app,
        workspace,
        "List the completed orders.",
        conversation=wrong.message.conversation_id,
    )
    assert asked_again == "SELECT * FROM sales_orders;"


def test_override_can_be_switched_off_and_needs_the_same_history(app, workspace):
    _, wrong = ask(app, workspace, "And last month?")
    correct(app, wrong, "Do you mean orders?")
    options = ReplyOptions(max_tokens=8, use_overrides=False)
    assert ask(app, workspace, "And last month?", options=options)[1].override is None
    _, other = ask(app, workspace, "Orders in May?")
    in_context = ask(app, workspace, "And last month?", conversation=other.message.conversation_id)[
        1
    ]
    assert in_context.override is None


def test_leaving_stops_the_engine_and_keeps_what_was_said(app, workspace):
    with closing(app.db()) as db:
        conversation = start_conversation(db, workspace.id, "cli")
    stream = reply(
        app,
        workspace,
        conversation.id,
        "cli",
        "Go on",
        options=ReplyOptions(max_tokens=200),
    )
    first = next(stream)
    stream.close()
    with closing(app.db()) as db:
        saved = messages_of(db, conversation.id)[-1]
    assert saved.finish_reason == "interrupted"
    assert saved.content.startswith(first.text.strip())
    assert saved.completion_tokens < 200


def test_reader_may_change_threads(app, workspace):
    """A web page reads each piece in whatever thread is free; SQLite connections may not."""
    with closing(app.db()) as db:
        conversation = start_conversation(db, workspace.id, "cli")
    stream = reply(app, workspace, conversation.id, "cli", "Hello", options=SHORT)
    seen = []

    def read_one():
        seen.append(next(stream, None))

    while not seen or seen[-1] is not None:
        thread = threading.Thread(target=read_one)
        thread.start()
        thread.join()
    assert isinstance(seen[-2], Done)


def make_adapter(app, workspace, tmp_path: Path, seed: int) -> int:
    """A verified random adapter of `workspace` in its place; returns its id."""
    from tests.tiny import make_tiny_adapter
    from tuning.adapter_files import manifest_hash, save_adapter

    raw = make_tiny_adapter(app.base, tmp_path / f"raw-{seed}", seed=seed)
    made = tmp_path / f"adapter-{seed}"
    save_adapter(
        raw,
        made,
        base_fingerprint=app.base.fingerprint,
        method="lora",
        round_id=None,
        metrics={},
    )
    with closing(app.db()) as db:
        row = add_adapter(
            db,
            workspace.id,
            round_id=None,
            parent_id=None,
            base_fingerprint=app.base.fingerprint,
            method="lora",
            manifest_hash=manifest_hash(made),
            metrics={},
        )
    made.rename(app.adapter_folder(row.id))
    return row.id


def test_promotion_is_seen_by_the_next_reply_and_named_on_it(app, workspace, tmp_path):
    before, _ = ask(app, workspace, "Which orders?")
    made = make_adapter(app, workspace, tmp_path, seed=1)
    with closing(app.db()) as db:
        promote(db, made, actor="user:1", override_reason="test")
    after, done = ask(app, workspace, "Which orders?")
    assert done.message.adapter_id == made
    assert after != before
    plain = ReplyOptions(adapter="base", max_tokens=8)
    base, _ = ask(app, workspace, "Which orders?", options=plain)
    assert base == before


def test_adapter_that_does_not_verify_is_not_served_and_the_reply_says_so(app, workspace, tmp_path):
    made = make_adapter(app, workspace, tmp_path, seed=2)
    weights = app.adapter_folder(made) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with closing(app.db()) as db:
        promote(db, made, actor="user:1", override_reason="test")
    _, done = ask(app, workspace, "Which orders?")
    assert done.message.adapter_id is None
    assert f"not by adapter {made}" in done.notices[0]


def test_what_an_adapter_has_learned_is_answered_at_once_where_that_cannot_be_loaded(
    app, workspace, tmp_path
):
    _, wrong = ask(app, workspace, "Which orders?")
    given = correct(app, wrong, "SELECT * FROM sales_orders;")
    made = make_adapter(app, workspace, tmp_path, seed=3)
    with closing(app.db()) as db:
        promote(db, made, actor="user:1", override_reason="test")
        note_learned(db, made, [given.id])
    assert ask(app, workspace, "Which orders?")[1].message.adapter_id == made
    app.forget_adapter(made)
    weights = app.adapter_folder(made) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    text, done = ask(app, workspace, "Which orders?")
    assert text == "SELECT * FROM sales_orders;"
    assert done.notices == ("Answered from an approved correction.",)


def test_documents_are_shown_to_the_model_and_named(app, workspace, tmp_path):
    from knowledge.ingest import ingest

    page = tmp_path / "returns.md"
    page.write_text("# Returns\n\nGoods may be returned within 30 days of delivery.\n")
    with closing(app.db()) as db:
        list(ingest(db, app.datadir, app.index, app.embedder, workspace.id, [page]))
    _, done = ask(app, workspace, "How many days do I have to return goods?")
    assert [passage.document for passage in done.passages] == ["returns.md"]
    assert "30 days" in app.tokenizer.decode(done.message.sent_ids)
    _, silent = ask(app, workspace, "Who won the chess match in Reykjavik?")
    assert silent.passages == ()
    assert "No passage" in silent.notices[0]


def test_near_corrections_become_examples_within_the_budget(app, workspace):
    _, wrong = ask(app, workspace, "List the completed orders in May.")
    correct(app, wrong, "SELECT 1;")
    with closing(app.db()) as db:
        generous = set_workspace(db, "default", "example_tokens", "64")
    _, done = ask(app, generous, "List the completed orders in June.")
    assert [example.answer for example in done.message.inputs.examples] == ["SELECT 1;"]
