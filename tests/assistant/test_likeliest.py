"""The likeliest of several answers: which one is found, what is asked for it, what streams on."""

import math
import sqlite3
import threading
from contextlib import closing
from itertools import product

import pytest

from assistant.answering import ChildAnswerer
from assistant.declared_checks import declared_checks
from assistant.engines.protocol import Sampling
from assistant.likeliest import (
    LONGEST,
    NEAR_FROM,
    NEAR_NATS,
    Weighing,
    as_ids,
    stream,
    weighing,
)
from assistant.retrieval import approved_near
from storage.errors import NotFound
from storage.workspaces import set_workspace, workspace
from tests.assistant.command_line import run_verb, write_rows
from tests.assistant.word_table import END, Table

TOKENS = Sampling(max_tokens=200)


QUERY = ({"type": "sql"},)


def answer(
    model,
    *,
    alternatives=6,
    checks=QUERY,
    approved=(),
    adapter_id=1,
    sampling=TOKENS,
    cancel=None,
    words=None,
    stop=(),
):
    model.words = words
    return list(
        stream(
            model,
            (),
            adapter_id,
            sampling,
            cancel or threading.Event(),
            stop=stop,
            how=Weighing(alternatives, checks, approved),
            decode=model.text,
        )
    )


def said(pieces):
    return "".join(piece.text for piece in pieces).removeprefix("select ")


GARDEN_PATH = {
    (): [(1, 0.55), (2, 0.45)],
    (1,): [(3, 0.4), (4, 0.35), (5, 0.25)],
    (2,): [(6, 0.95), (7, 0.05)],
}


def test_a_beginning_that_leads_nowhere_is_left():
    model = Table(GARDEN_PATH)
    pieces = answer(model)
    assert said(pieces) == "2 6 "
    assert [piece.finish_reason for piece in pieces] == ["stop"]
    assert sum(piece.tokens for piece in pieces) == 3
    assert said(answer(model, alternatives=0)) == "1 3 "


def test_nothing_is_asked_where_the_model_is_sure():
    model = Table({(): [(1, 0.99), (2, 0.01)], (1,): [(END, 0.9), (3, 0.1)]})
    assert said(answer(model)) == "1 "
    assert model.asked == [()]


def test_it_takes_no_more_than_so_many_answers_of_that_length():
    flat = [(1, 0.4), (2, 0.3), (3, 0.3)]
    table = {ids: flat for size in range(4) for ids in product((1, 2, 3), repeat=size)}
    lengths = {}
    for alternatives in (1, 3, 100):
        model = Table(table)
        answer(model, alternatives=alternatives)
        lengths[alternatives] = model.taken
    # the greedy answer has five tokens with its end; one that was begun is finished
    assert 5 < lengths[1] <= 2 * 5 + 4 and lengths[1] < lengths[3] <= 4 * 5 + 4 < lengths[100]


def test_what_can_no_longer_win_is_left_on_its_way():
    half = [(1, 0.5), (2, 1e-6)]
    long = {(2,) + (1,) * size: half for size in range(40)}
    model = Table({(): [(1, 0.6), (2, 0.4)], **long})
    assert said(answer(model)) == "1 "
    # 0.6 * 0.9 is the first one's; 0.4 is below it at once
    assert model.taken == 2
    model = Table({(): [(1, 0.4), (2, 0.35)], (1,): [(END, 0.1), (3, 0.05)], **long})
    assert said(answer(model)) == "1 "
    # 0.35, 0.175, 0.09, 0.04: the fourth is too little
    assert model.taken < 12


def test_it_finds_the_likeliest_of_all_when_two_words_are_possible_each_time():
    chances = [0.55, 0.6, 0.7, 0.52, 0.65, 0.8, 0.58]
    inner = [ids for size in range(3) for ids in product((1, 2), repeat=size)]
    table = {
        ids: [(1, chance), (2, 1 - chance)] for ids, chance in zip(inner, chances, strict=True)
    }
    ends = list(product((1, 2), repeat=3))
    for place, ids in enumerate(ends):
        table[ids] = [(END, (place + 1) / 10), (9, 1 - (place + 1) / 10)]
        table[(*ids, 9)] = [(END, 0.6), (8, 0.4)]
        table[(*ids, 9, 8)] = [(END, 1.0), (7, 1e-9)]
    model = Table(table)
    every = [(*ids, *rest, END) for ids in ends for rest in ((), (9,), (9, 8))]
    best = max(every, key=model.likelihood)
    assert said(answer(model, alternatives=100)) == "".join(f"{token} " for token in best[:-1])
    assert said(answer(model, alternatives=0)) != said(answer(model, alternatives=100))


def test_an_end_that_came_second_is_an_answer_too():
    model = Table({(): [(1, 1.0), (2, 1e-9)], (1,): [(3, 0.6), (END, 0.4)], (1, 3): FLAT})
    assert said(answer(model)) == "1 "
    assert model.asked == [()]


FLAT = [(END, 0.34), (5, 0.33), (6, 0.33)]


@pytest.mark.parametrize(
    "how",
    [
        {"adapter_id": None},
        {"alternatives": 0},
        {"checks": ()},
        {"sampling": Sampling(200, 0.7)},
    ],
)
def test_it_streams_as_it_comes_where_nothing_is_weighed(how):
    model = Table(GARDEN_PATH)
    pieces = answer(model, **how)
    assert [piece.text for piece in pieces] == ["select 1 ", "3 ", ""]
    assert len(model.asked) == 1


def test_a_long_answer_is_prose_and_streams_on():
    waver = [(1, 0.6), (2, 0.4)]
    model = Table({(1,) * size: waver for size in range(LONGEST + 20)})
    pieces = answer(model, sampling=Sampling(max_tokens=2 * LONGEST))
    assert sum(piece.tokens for piece in pieces) == LONGEST + 21
    assert len(model.asked) == 1


def test_an_answer_that_was_cut_off_is_given_as_it_is():
    model = Table({(1,) * size: [(1, 0.6), (2, 0.4)] for size in range(20)})
    pieces = answer(model, sampling=Sampling(max_tokens=5))
    assert pieces[-1].finish_reason == "length" and len(model.asked) == 1


def test_who_cancels_gets_what_was_said():
    cancel = threading.Event()
    cancel.set()
    assert [one.finish_reason for one in answer(Table(GARDEN_PATH), cancel=cancel)] == [
        "interrupted"
    ]


def test_an_approved_answer_goes_before_one_that_is_a_little_likelier():
    near = (((1, 5, END), 3.0), ((8, END), 3.0))
    model = Table(GARDEN_PATH)
    assert said(answer(model, approved=near)) == "1 5 "
    assert (1, 5) in model.asked
    assert said(answer(Table(GARDEN_PATH), approved=(((8, END), 3.0),))) == "2 6 "


def test_an_approved_answer_that_the_model_thinks_wrong_is_not_given():
    sure = {(): [(1, 0.99), (2, 0.01)], (1,): [(END, 0.9), (3, 0.1)]}
    model = Table(sure)
    needed = math.log(0.99 / 0.01)
    assert said(answer(model, approved=(((2, END), needed - 0.1),))) == "1 "
    assert said(answer(Table(sure), approved=(((2, END), needed + 0.1),))) == "2 "


def test_of_two_approved_answers_the_likelier_one_is_given():
    table = {(): [(1, 0.6), (2, 0.3), (3, 0.1)]}
    both = (((3, END), 3.0), ((2, END), 3.0))
    assert said(answer(Table(table), approved=both)) == "2 "
    assert said(answer(Table(table), approved=(*both, ((1, END), 3.0)))) == "1 "


def test_of_two_approved_answers_that_of_the_nearer_question_goes_before():
    table = {(): [(1, 0.6), (2, 0.3), (3, 0.1)]}
    assert math.log(0.3 / 0.1) < 2
    assert said(answer(Table(table), approved=(((3, END), 4.0), ((2, END), 2.0)))) == "3 "


def test_the_nearer_a_question_the_more_its_answer_goes_before(app):
    near = as_ids(app, [("yes", 1.0), ("no", NEAR_FROM + 0.1), ("perhaps", NEAR_FROM - 0.1)])
    assert [nats for _, nats in near] == pytest.approx(
        [NEAR_NATS * (1 - NEAR_FROM), NEAR_NATS * 0.1, 0.0]
    )
    assert near[0][0] == tuple(app.tokenizer.completion_ids("yes"))


def test_an_approved_beginning_that_ends_otherwise_counts_as_any_other():
    table = {(): [(1, 0.6), (2, 0.4)], (2,): [(4, 0.9), (5, 0.1)], (2, 5): [(6, 0.9), (7, 0.1)]}
    assert said(answer(Table(table), approved=(((2, 5, 9, END), 3.0),))) == "1 "


JSON = ({"type": "json"},)
WORDS = {1: "{", 2: '{"a": 1', 3: "}}", 4: "Hello", 5: " you", 6: "}", 7: " and so on"}


def test_an_answer_that_fails_its_check_goes_behind_a_less_likely_one_that_passes():
    model = Table(
        {(): [(1, 0.9), (2, 0.1)], (1,): [(3, 0.9), (END, 0.1)], (2,): [(6, 0.8), (END, 0.2)]}
    )
    assert said(answer(model, words=WORDS, checks=JSON, alternatives=0)) == "{}}"
    assert said(answer(model, words=WORDS, checks=JSON)) == '{"a": 1}'


def test_an_approved_answer_with_other_spaces_is_one_too():
    words = WORDS | {8: '{ "a": 1'}
    table = {
        (): [(1, 0.5), (8, 0.3), (2, 1e-6)],
        (1,): [(6, 0.9), (3, 0.1)],
        (8,): [(6, 0.9), (3, 0.1)],
    }
    assert said(answer(Table(table), words=words, checks=JSON)) == "{}"
    near = (((2, 6, END), 15.0),)
    assert said(answer(Table(table), words=words, checks=JSON, approved=near)) == '{ "a": 1}'


class Held(Table):
    """A model that notes the schemas that its replies are held to."""

    def stream(self, prompt_ids, adapter_id, sampling, stop, cancel):
        self.schemas = [*getattr(self, "schemas", []), (tuple(prompt_ids), sampling.schema)]
        yield from super().stream(prompt_ids, adapter_id, sampling, stop, cancel)


def test_with_a_schema_only_what_fits_it_as_it_stands_is_given():
    words = WORDS | {8: '```json\n{"a": 1}\n```'}
    model = Held({(): [(1, 0.6), (8, 0.3), (2, 0.1)], (1,): [(6, 0.9), (3, 0.1)]})
    fenced, fitting = ((8, END), 15.0), ((2, 6, END), 9.0)
    given = {"words": words, "checks": JSON, "approved": (fenced, fitting)}
    assert said(answer(model, **given)) == words[8]
    model.schemas.clear()
    model.table = {**model.table, (2,): [(6, 1.0)]}
    strict = Sampling(max_tokens=200, schema='{"type": "object"}')
    assert said(answer(model, **given, sampling=strict)) == '{"a": 1}'
    (start, schema), *others = model.schemas
    assert (start, schema) == ((), strict.schema)
    assert others and all(one == (begun, None) for one in others for begun in [one[0]] if begun)


def test_where_a_text_ends_replies_nothing_is_weighed():
    model = Table(GARDEN_PATH)
    assert said(answer(model, stop=("never",))) == "1 3 "
    assert len(model.asked) == 1


def test_a_query_that_the_database_refuses_goes_behind_one_that_it_takes(tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as shop:
        shop.execute("create table orders (id)")
    checks = ({"type": "sql", "database": str(tmp_path / "shop.sqlite")},)
    words = {1: "select id from orders", 2: "select name from orders", 3: "Hello"}
    model = Table({(): [(2, 0.6), (1, 0.4)]})
    assert said(answer(model, words=words)) == "name from orders"
    assert said(answer(model, words=words, checks=checks)) == "id from orders"
    model = Table({(): [(2, 0.6), (3, 0.4)]})
    assert said(answer(model, words=words, checks=checks)) == "name from orders"


def test_the_greedy_answer_stays_where_none_passes():
    model = Table({(): [(1, 0.9), (3, 0.1)], (1,): [(END, 0.9), (3, 0.1)]})
    pieces = answer(model, words=WORDS, checks=JSON)
    assert [piece.text for piece in pieces] == ["{", ""]
    assert len(model.asked) > 1


def test_prose_is_no_failed_json_and_streams():
    start = [(4, 0.6), (2, 0.4)]
    model = Table({(): start, (4,): [(5, 0.6), (6, 0.4)]})
    assert said(answer(model, words=WORDS, checks=JSON)) == "Hello you"
    assert len(model.asked) == 1
    long = {(4,) + (7,) * size: [(7, 0.9), (5, 0.1)] for size in range(30)}
    pieces = stream(
        model := Table({(): start, **long}),
        (),
        1,
        TOKENS,
        threading.Event(),
        how=Weighing(6, JSON),
        decode=lambda ids: "",
    )
    model.words = WORDS
    next(pieces)
    assert model.said < 10


def test_only_exact_answers_are_weighed(app):
    with app.db() as db:
        assert weighing(app, workspace(db, "default")) == Weighing()
        set_workspace(db, "default", "checks", '[{"type": "contains", "all": ["we"]}]')
        assert weighing(app, workspace(db, "default")).alternatives == 0
        set_workspace(db, "default", "checks", '[{"type": "json"}, {"type": "regex"}]')
        assert weighing(app, workspace(db, "default")) == Weighing(6, ({"type": "json"},))
        set_workspace(db, "default", "alternatives", "2")
        assert weighing(app, workspace(db, "default")).alternatives == 2


class Gone(Table):
    """A model whose adapter is unloaded once it has answered."""

    def stream(self, *given):
        if self.asked:
            raise NotFound("Adapter 1 is not loaded.")
        yield from super().stream(*given)


def test_a_whole_answer_is_not_lost_when_the_search_cannot_go_on(tmp_path, caplog):
    assert said(answer(Gone(GARDEN_PATH))) == "1 3 "
    assert "Adapter 1 is not loaded" in caplog.text
    gone = ({"type": "sql", "database": str(tmp_path / "gone.sqlite")},)
    assert said(answer(Table(GARDEN_PATH), checks=gone)) == "1 3 "


def test_what_was_approved_for_another_name_or_number_is_not_weighed(app, tmp_path):
    rows = [
        ("Orders in 2019?", "select * from orders where year = 2019"),
        ("What did Keeling order in 2019?", "select * from orders where who = 'Keeling'"),
        ("Which orders are closed?", "select * from orders where state = 'Closed'"),
    ]
    path = write_rows(
        tmp_path / "rows.jsonl", *({"question": one, "correction": two} for one, two in rows)
    )
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with app.db() as db:
        known = workspace(db, "default")

        def near(question):
            answers = [correction for _, correction in rows]
            return {answers.index(one) for one, _ in approved_near(app, db, known, question)}

        assert near("Which were the orders of 2019?") == {0, 2}
        assert near("Which were the orders of 2020?") == {2}
        assert near("What has KEELING ordered?") == {1, 2}
        assert near("Completed orders, please.") == {2}


def test_near_approved_answers_are_weighed_where_there_is_a_question(app, tmp_path):
    path = write_rows(
        tmp_path / "rows.jsonl", {"question": "Which are late?", "correction": '{"late": 1}'}
    )
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with app.db() as db:
        assert weighing(app, workspace(db, "default"), "Who is late?") == Weighing()
        set_workspace(db, "default", "checks", '[{"type": "json"}]')
        known = workspace(db, "default")
    ids = tuple(app.tokenizer.completion_ids('{"late": 1}'))
    ((found, nats),) = weighing(app, known, "Who is late?").approved
    assert found == ids and nats >= 0
    assert weighing(app, known, "Which are late?").approved[0][1] > nats
    assert weighing(app, known).approved == ()
    with ChildAnswerer(app.base, app.settings, tmp_path / "answers.log") as child:
        told = child.answer([ids[:3]], adapter=None, max_tokens=2, approved=[((ids, 3.0),)])
    assert len(told) == 1


def test_a_database_without_a_copy_holds_no_reply_up(app, tmp_path):
    gone = tmp_path / "shop.sqlite"
    with app.db() as db:
        set_workspace(db, "default", "checks", f'[{{"type": "sql", "database": "{gone}"}}]')
        assert weighing(app, workspace(db, "default")) == Weighing(6, ())
    with closing(sqlite3.connect(gone)) as shop:
        shop.execute("create table orders (id)")
    with app.db() as db:
        copy = declared_checks(app, workspace(db, "default"))
        assert weighing(app, workspace(db, "default")) == Weighing(6, copy)
