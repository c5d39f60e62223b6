"""What is found for a question: nothing without a budget, and only what may be shown."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from assistant.reply import ReplyOptions, reply
from assistant.retrieval import (
    EXAMPLES_AT_MOST,
    REBUILDING,
    approved_near,
    examples_for,
    look_up,
    retrieve,
)
from knowledge.chunk_vectors import sync_index
from knowledge.ingest import ingest, remove
from knowledge.search import chunks_collection
from storage.conversations import start_conversation
from storage.pairs import each_pair
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb
from tests.assistant.taught import teach
from tests.cross_encoder import make_cross_encoder

ASKED = "Which orders are closed now?"


@pytest.fixture
def taught(app, workspace):
    """Five approved corrections of two needs, and room for examples."""
    teach(app, workspace)
    with closing(app.db()) as db:
        return set_workspace(db, "default", "example_tokens", "200")


@pytest.fixture
def shop(app, workspace, tmp_path):
    """The workspace with one short document."""
    page = tmp_path / "returns.md"
    page.write_text("# Returns\n\nGoods may be returned within 30 days of delivery.")
    run_verb(app, "ingest", workspace="default", paths=[str(page)])
    return workspace


def test_a_workspace_without_documents_asks_no_index(app, workspace):
    with closing(app.db()) as db:
        assert retrieve(app, db, workspace, "May goods be returned?") == ()
    assert not app.has("index") and not app.has("embedder")


def test_passages_are_those_of_the_documents_within_the_budget(app, shop):
    with closing(app.db()) as db:
        (found,) = retrieve(app, db, shop, "Within how many days may goods be returned?")
        assert found.document == "returns.md" and "30 days" in found.text
        # it shares words with the page, so that the lexical search alone finds it
        assert retrieve(app, db, shop, "Who delivered the speech within 30 minutes?") == ()
        none = set_workspace(db, "default", "passage_tokens", "0")
        assert retrieve(app, db, none, "May goods be returned?") == ()
        little = set_workspace(db, "default", "passage_tokens", "3")
        assert retrieve(app, db, little, "May goods be returned?") == ()


def test_a_reranker_says_which_passage_comes_first(app, shop, tmp_path):
    other = tmp_path / "more.md"
    other.write_text("# Returns abroad\n\nGoods from abroad may be returned within 60 days.")
    run_verb(app, "ingest", workspace="default", paths=[str(other)])
    app.settings = app.settings.model_copy(update={"reranker": make_cross_encoder(tmp_path)})
    with closing(app.db()) as db:
        one = set_workspace(db, "default", "top_k", "1")
        found = look_up(app, db, one, "Within how many days may goods be returned?")
    assert {passage.document for passage in found.nearest} == {"returns.md", "more.md"}
    best, _ = app.reranker.rerank("Within how many days may goods be returned?", found.nearest)
    assert found.passages[0].chunk_id == best.chunk_id


def test_examples_are_near_few_and_never_of_a_group_left_out(app, taught):
    with closing(app.db()) as db:
        found = examples_for(app, db, taught, ASKED)
        assert {one.answer for one in found} >= {"right: orders"}
        assert len(found) <= EXAMPLES_AT_MOST
        others = examples_for(app, db, taught, ASKED, leave_out_groups=frozenset({"orders"}))
        assert {one.answer for one in others} <= {"right: thanks"}


def test_only_the_feedback_that_was_named_is_shown(app, taught):
    with closing(app.db()) as db:
        one = next(pair for pair in each_pair(db, taught.id) if pair.group == "orders")
        named = frozenset({one.feedback_id})
        found = examples_for(app, db, taught, ASKED, only_feedback_ids=named)
        assert [example.question for example in found] == [one.inputs.question]
        assert examples_for(app, db, taught, ASKED, only_feedback_ids=frozenset()) == ()


def test_no_budget_no_examples_but_another_budget_may_be_given(app, workspace):
    teach(app, workspace)
    assert workspace.settings.example_tokens == 0
    with closing(app.db()) as db:
        assert examples_for(app, db, workspace, ASKED) == ()
        assert len(examples_for(app, db, workspace, ASKED, budget=200, limit=1)) == 1


def test_an_answer_that_was_approved_often_is_weighed_once_the_nearest_first(app, workspace):
    teach(app, workspace)
    with closing(app.db()) as db:
        near = approved_near(app, db, workspace, ASKED)
    answers, similarities = zip(*near, strict=True)
    assert answers[0] == "right: orders" and len(set(answers)) == len(answers) == 2
    assert list(similarities) == sorted(similarities, reverse=True)


def answered(app, workspace, question):
    """The finished reply to a question of its own."""
    with closing(app.db()) as db:
        talk = start_conversation(db, workspace.id, "cli").id
    options = ReplyOptions(max_tokens=1)
    *_, done = reply(app, workspace, talk, "cli", question, options=options)
    return done


def test_documents_without_an_index_are_found_by_words_until_it_is_full(app, shop):
    collection = chunks_collection(shop.id, app.embedder)
    question = "Within how many days may goods be returned?"
    whole = answered(app, shop, question)
    assert whole.passages and whole.notices == ()
    with app.index.filling(collection):
        app.index.drop(collection)
        meanwhile = answered(app, shop, question)
        assert meanwhile.notices[0] == REBUILDING
        assert meanwhile.passages[0].text == whole.passages[0].text
    with closing(app.db()) as db:
        told = []

        def asked_meanwhile(done, of):
            told.append(answered(app, shop, question).notices)

        assert sync_index(db, app.index, app.embedder, shop.id, on_progress=asked_meanwhile)
        assert told and told[0] == (REBUILDING,)
    assert answered(app, shop, question).notices == ()
    assert answered(app, shop, question).passages == whole.passages


def test_what_was_removed_is_in_no_reply_that_begins_afterwards(app, workspace, tmp_path):
    names = [f"page{number}.md" for number in range(6)]
    for name in names:
        lines = [f"The harbour crane of {name} lifts {load} tonnes." for load in range(3, 30)]
        (tmp_path / name).write_text("# Cranes\n\n" + " ".join(lines))
    with closing(app.db()) as db:
        files = [tmp_path / name for name in names]
        list(ingest(db, app.datadir, app.index, app.embedder, workspace.id, files))
        workspace = set_workspace(db, workspace.name, "relevance_floor", "0")
    removed: list[str] = []
    wrong: list[tuple[str, str]] = []
    asked = []

    def ask(turn):
        while len(removed) < len(names):
            gone = list(removed)
            with closing(app.db()) as db:
                found = look_up(app, db, workspace, f"What lifts the crane of page{turn}.md?")
            seen = {one.document for one in (*found.passages, *found.nearest)}
            asked.append(seen)
            wrong.extend((name, "look-up") for name in seen & {*gone})
            inputs = answered(app, workspace, "How many tonnes does a harbour crane lift?")
            gone_in = {one.document for one in inputs.message.inputs.passages} & {*gone}
            wrong.extend((name, "reply") for name in gone_in)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, turn) for turn in range(4)]
        with closing(app.db()) as db:
            for number, name in enumerate(names):
                while len(asked) < 4 * (number + 1):
                    time.sleep(0.01)
                remove(db, app.datadir, app.index, workspace.id, name)
                removed.append(name)
        for one in asking:
            one.result()
    assert wrong == []
    assert asked[0], "there was something to find"
    assert answered(app, workspace, "How many tonnes does a crane lift?").passages == ()
