"""What is searched for when a question hangs on what was said before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.standalone import opens_anew, search_text, stands_alone


def asked(*questions):
    """A history in which these were asked, each with some answer."""
    return [
        message
        for question in questions
        for message in (
            {"role": "user", "content": question},
            {"role": "assistant", "content": "As you wish."},
        )
    ]


@pytest.mark.parametrize(
    "question",
    [
        "And last month?",
        "What about clubs?",
        "how about returns of sails",
        "How much does it cost?",
        "Is it waterproof?",
        "Are they open on Sunday?",
        "And for sailing schools, what discount is there?",
        "Which of those are in stock?",
        "Is that included in the price?",
        "What do you mean by that?",
        "How long?",
        "Why?",
        "The blue one?",
        "Can I get the other ones cheaper?",
        "Juni?",
    ],
)
def test_it_hangs_on_what_was_said(question):
    assert not stands_alone(question)
    assert search_text(question, asked("How long is the warranty on sails?")) == (
        f"How long is the warranty on sails?\n{question}"
    )


@pytest.mark.parametrize(
    "question",
    [
        "How long is the warranty on sails?",
        "List the orders that were shipped in May.",
        "Is it possible to return a rope?",
        "How long does it take to repair a sail?",
        "What do the sails cost these days?",
        "Does the shop open on Sundays?",
        "Wie lange gilt die Garantie auf Segel?",
    ],
)
def test_it_stands_by_itself(question):
    assert stands_alone(question)
    assert search_text(question, asked("When is the loft open?")) == question


def test_the_last_question_that_stood_by_itself_leads():
    history = asked("When is the loft open?", "What does a sail cost?", "And a jib?")
    assert search_text("And in blue?", history) == "What does a sail cost?\nAnd in blue?"


def test_without_such_a_question_it_is_searched_for_as_it_is():
    assert search_text("And now?", []) == "And now?"
    assert search_text("And now?", asked("Why?", "And now?")) == "And now?"
    long_ago = asked("When is the loft open?", "Why?", "And?", "So?")
    assert search_text("And now?", long_ago) == "And now?"


@given(st.text(), st.lists(st.text(), max_size=4))
def test_the_question_is_always_part_of_it(question, before):
    assert search_text(question, asked(*before)).endswith(question)


@pytest.mark.parametrize(
    "before",
    [
        [],
        ["How long is the warranty on sails?"],
        ["List the open orders.", "Can you name the suppliers"],
        ["When does the night shift start in Leeds?", "And in Leeds?"],
    ],
)
def test_it_asks_what_it_would_ask_at_the_beginning(before):
    assert opens_anew("When does the day shift start in Leeds?", asked(*before))


@pytest.mark.parametrize(
    "before",
    [
        ["I mean the shop in Bristol."],
        ["I work in the warehouse."],
        ["Is there a shop in Bristol?"],
        ["Which shifts are there in May?", "How long is the warranty on sails?"],
        ["What was it like in 2019?"],
        ["Is there work for three?"],
    ],
)
def test_what_was_said_before_may_narrow_it(before):
    assert not opens_anew("When does the day shift start?", asked(*before))


def test_what_hangs_on_something_never_asks_anew():
    assert not opens_anew("And when does it start?", [])
    assert not opens_anew("And last month?", asked("Which orders are closed?"))
