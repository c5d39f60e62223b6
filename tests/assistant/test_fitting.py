"""What is left out of a prompt, in which order, and what is said about it."""

import time
from contextlib import closing
from dataclasses import replace

import pytest

from assistant.fitting import fitted, rendered, served_room
from assistant.prompt import build_messages
from assistant.reply import ReplyOptions, reply
from storage.conversations import messages_of, start_conversation
from storage.errors import BadInput
from storage.records import Example, Inputs, Passage
from storage.workspaces import set_workspace


def passage(text, relevance):
    return Passage(0, 0, "page.md", text, "h", 0.0, relevance=relevance)


INPUTS = Inputs(
    question="What now?",
    instructions="Answer shortly.",
    instructions_version=1,
    history=(
        {"role": "user", "content": "oldest question"},
        {"role": "assistant", "content": "oldest answer"},
        {"role": "user", "content": "asked twice"},
        {"role": "user", "content": "newest question"},
        {"role": "assistant", "content": "newest answer"},
    ),
    passages=(
        passage("before the best", None),
        passage("the best", 0.9),
        passage("after the best", None),
        passage("the second", 0.7),
    ),
    examples=(Example(1, "far?", "far"), Example(2, "near?", "near")),
)


def parts(inputs):
    """What is there, each by its first words."""
    return [
        *(one.answer for one in inputs.examples),
        *(one.text for one in inputs.passages),
        *(one["content"] for one in inputs.history),
    ]


def test_one_thing_goes_after_the_other_in_the_order_of_the_policy(app):
    full = len(app.tokenizer.render(build_messages(INPUTS)))
    gone = []
    for room in range(full, 0, -1):
        kept, ids = fitted(app, INPUTS, room)
        assert ids == app.tokenizer.render(build_messages(kept))
        assert len(ids) <= room or not parts(kept)
        assert (kept.question, kept.instructions) == (INPUTS.question, INPUTS.instructions)
        left = parts(kept)
        gone += [one for one in parts(INPUTS) if one not in left and one not in gone]
    assert gone == [
        *("far", "near"),
        *("after the best", "before the best", "the second"),
        *("oldest question", "oldest answer", "asked twice", "newest question", "newest answer"),
        "the best",
    ]


def test_no_more_goes_than_has_to(app):
    full = len(app.tokenizer.render(build_messages(INPUTS)))
    kept, ids = fitted(app, INPUTS, full - 1)
    assert kept == replace(INPUTS, examples=INPUTS.examples[1:]) and len(ids) < full
    assert fitted(app, INPUTS, full)[0] == INPUTS


def test_what_was_left_out_is_said_with_numbers(app, workspace):
    long = replace(INPUTS, passages=(*INPUTS.passages, *[passage("word " * 60, 0.6)] * 2))
    kept, _, said = rendered(app, workspace, long, before=9)
    assert parts(kept)[:2] == ["the best", "the second"] and kept.history == INPUTS.history
    assert said == [
        "2 of 2 examples were left out: the prompt has no room for more.",
        "4 of 6 passages were left out: the prompt has no room for more.",
        "4 of 9 earlier messages were left out: the prompt has no room for more.",
    ]
    assert rendered(app, workspace, replace(INPUTS, examples=()), before=5)[2] == []


def test_question_and_instructions_are_never_cut(app, workspace):
    long = replace(INPUTS, instructions="word " * 400)
    with pytest.raises(BadInput, match="instructions are .* tokens long, but only 256 fit"):
        rendered(app, workspace, long)


def asked(app, workspace, conversation, question):
    options = ReplyOptions(max_tokens=4)
    *_, done = reply(app, workspace, conversation, "cli", question, options=options)
    return done


def test_a_reply_says_how_much_of_the_conversation_it_was_made_without(app, workspace):
    with closing(app.db()) as db:
        workspace = set_workspace(db, workspace.name, "history_tokens", "60")
        talk = start_conversation(db, workspace.id, "cli").id
    first = asked(app, workspace, talk, "First?")
    second = asked(app, workspace, talk, "Second " * 20)
    assert first.notices == second.notices == ()
    third = asked(app, workspace, talk, "Third?")
    assert third.notices == (
        "4 of 4 earlier messages were left out: the prompt has no room for more.",
    )
    assert third.message.inputs.history == ()
    assert list(third.message.sent_ids) == app.tokenizer.render(
        build_messages(third.message.inputs)
    )


def test_sources_are_those_that_were_sent(app, workspace, tmp_path):
    from knowledge.ingest import ingest

    ways = ("the blue van at noon", "any shop by foot", "post in its own box", "a friend abroad")
    for number, way in enumerate(ways):
        (tmp_path / f"{number}.md").write_text(f"Pumps are returned with {way}, paid by us. ")
    with closing(app.db()) as db:
        files = sorted(tmp_path.glob("*.md"))
        list(ingest(db, app.datadir, app.index, app.embedder, workspace.id, files))
        for key, value in (("passage_tokens", "2000"), ("top_k", "4"), ("relevance_floor", "0")):
            workspace = set_workspace(db, workspace.name, key, value)
        workspace = set_workspace(db, workspace.name, "instructions", "Be short. " * 12)
        talk = start_conversation(db, workspace.id, "cli").id
    done = asked(app, workspace, talk, "How are pumps returned?")
    sent = app.tokenizer.decode(done.message.sent_ids)
    assert done.passages == done.message.inputs.passages and 0 < len(done.passages) < 4
    assert [way in sent for way in ways] == [
        any(way in one.text for one in done.passages) for way in ways
    ]
    assert f"{4 - len(done.passages)} of 4 passages" in done.notices[0]
    assert len(done.message.sent_ids) <= served_room(app, workspace)


@pytest.mark.parametrize("text", ["word ", "<|im_end|>", "x", "日本語のテキスト。"])
def test_far_too_much_is_refused_soon_and_leaves_nothing(app, workspace, text):
    app.tokenizer.count("opened before the clock runs")
    with closing(app.db()) as db:
        talk = start_conversation(db, workspace.id, "cli").id
        started = time.process_time()
        with pytest.raises(BadInput, match="tokens long, but only 256 fit"):
            asked(app, workspace, talk, text * 200_000)
        assert time.process_time() - started < 1
        assert messages_of(db, talk) == []


def test_no_room_at_all_is_said(app, workspace):
    with closing(app.db()) as db:
        workspace = set_workspace(db, workspace.name, "max_tokens", "512")
        talk = start_conversation(db, workspace.id, "cli").id
        with pytest.raises(BadInput, match="only 0 fit"):
            asked(app, workspace, talk, "Hello?")
        assert messages_of(db, talk) == []
