"""The prompt: one pure function, the same for chat, training and evaluation."""

import pytest

from assistant.prompt import build_messages, cited, renumbered
from storage.records import Example, Inputs, Passage

PASSAGE = Passage(1, 1, "returns.md", "Goods may be returned within 30 days.", "h", 0.5)


def test_plain_question_stands_alone():
    assert build_messages(Inputs("How long?", "", 1)) == [{"role": "user", "content": "How long?"}]


def test_order_is_instructions_examples_history_question():
    inputs = Inputs(
        question="And now?",
        instructions="Be brief.",
        instructions_version=3,
        history=(
            {"role": "user", "content": "Before?"},
            {"role": "assistant", "content": "Yes."},
        ),
        passages=(PASSAGE,),
        examples=(Example(7, "Like?", "So."),),
    )
    messages = build_messages(inputs)
    assert [message["role"] for message in messages] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert [message["content"] for message in messages[:5]] == [
        "Be brief.", "Like?", "So.", "Before?", "Yes.",
    ]  # fmt: skip
    assert "[1] returns.md: Goods may be returned within 30 days." in messages[5]["content"]
    assert messages[5]["content"].endswith("Question: And now?")


def test_passages_change_only_the_last_message():
    """Everything before it must stay the same, or the engine's prefix cache is lost each turn."""
    bare = Inputs("Q", "Be brief.", 1, examples=(Example(1, "a", "b"),))
    full = Inputs("Q", "Be brief.", 1, examples=(Example(1, "a", "b"),), passages=(PASSAGE,))
    assert build_messages(bare)[:-1] == build_messages(full)[:-1]


A, B, C = (Passage(0, 0, "p.md", text, text, 0.0) for text in "abc")


@pytest.mark.parametrize(
    ("answer", "after", "wanted"),
    [
        ("- So. [1]\n- And so. [2]", (B, C, A), "- So. [3]\n- And so. [1]"),
        ("- So. [2]", (B,), "- So. [1]"),
        ("- So. [2]", (A, C), None),
        ("- So. [1]", (), None),
        ("No source.", (), "No source."),
        ("See [7].", (), "See [7]."),
        ("- So. [1] See [7].", (B, A), "- So. [2] See [7]."),
        ("return rows[1]", (B, A), None),
    ],
)
def test_an_answer_keeps_its_sources_when_the_passages_move(answer, after, wanted):
    assert renumbered(answer, (A, B), after) == wanted


def test_the_passages_that_an_answer_names():
    assert cited("- So. [2]\n- And so. [2] [9]", (A, B)) == [B]
    assert cited("So.", (A, B)) == cited("So. [1]", ()) == []
