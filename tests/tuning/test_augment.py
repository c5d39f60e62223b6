"""Other wordings of a taught question, out of taught words alone."""

import pytest

from tuning.augment import Needs, same_words, telling_tokens, told_words, variants

QUESTION = "Which of the orders were completed in the past month?"
OTHERS = ["Show me every order we finished since last month.", "Completed orders, past month"]


def words(text):
    return set(text.split())


def test_variants_differ_from_all_taught_wordings_and_each_other():
    found = variants(QUESTION, OTHERS, count=12, seed=1)
    assert len(found) == len({text.casefold() for text in found}) == 12
    assert not {text.casefold() for text in found} & {
        text.casefold() for text in (QUESTION, *OTHERS)
    }


def test_no_word_comes_from_elsewhere():
    known = words(" ".join([QUESTION, *OTHERS]))
    for text in variants(QUESTION, OTHERS, count=30, seed=2):
        assert words(text) <= known


def test_words_of_the_answer_always_stay():
    question = "Show me the orders of March from Hamburg that were completed"
    answer = "SELECT * FROM orders WHERE month = 'march' AND town = 'Hamburg'"
    found = variants(question, ["Completed ones please"], count=30, seed=3, answer=answer)
    assert found
    for text in found:
        assert {"March", "Hamburg", "orders"} <= words(text)


def test_fillers_come_in_and_held_out_wordings_do_not():
    found = variants(QUESTION, count=20, seed=1, fillers=["lantern"])
    assert any("lantern" in text for text in found)
    avoid = {same_words(one) for one in found[:5]}
    without = variants(QUESTION, count=20, seed=1, fillers=["lantern"], avoid=avoid)
    assert without and not set(found[:5]) & set(without)


TAUGHT = [
    ("Count the number of accounts.", "accounts"),
    ("Count the number of customers.", "customers"),
    ("Show all card types.", "types"),
    ("Show all card types and how many customers hold each.", "holders"),
    ("Which suppliers are not from Hamburg?", "elsewhere"),
    ("Which suppliers are from Hamburg?", "here"),
]


@pytest.mark.parametrize(
    ("question", "text", "left"),
    [
        (0, "Count the of", False),
        (0, "accounts. Count lantern", True),
        (0, "Count the number of customers", False),
        (3, "Show all card types and", False),
        (3, "card types how many customers hold", True),
        (4, "Which suppliers are from Hamburg", False),
        (4, "suppliers not from Hamburg", True),
        (5, "are from", False),
    ],
)
def test_a_need_is_told_from_near_ones_by_the_words_that_they_lack(question, text, left):
    assert Needs(TAUGHT).tells(*TAUGHT[question])(text) is left


def test_another_wording_of_the_same_need_is_no_other_need():
    longer, shorter = "Show late orders now", "Show late orders"
    assert Needs([(longer, "late"), (shorter, "late")]).tells(longer, "late")(shorter)
    assert not Needs([(longer, "late"), (shorter, "all")]).tells(longer, "late")(shorter)


def test_variants_say_which_need_they_are_of():
    needs = Needs(TAUGHT)
    for question, need in TAUGHT:
        found = variants(question, count=8, seed=5, tells=needs.tells(question, need))
        assert found and all(needs.tells(question, need)(text) for text in found)
    blurred = variants(TAUGHT[0][0], count=8, seed=5)
    assert not all("accounts" in text for text in blurred), "so it happens without"


def test_at_least_a_third_of_the_words_stay():
    for text in variants(QUESTION, count=30, seed=3):
        assert 3 * len(text.split()) >= len(QUESTION.split())


def test_the_same_seed_gives_the_same_variants():
    assert variants(QUESTION, OTHERS, count=8, seed=4) == variants(
        QUESTION, OTHERS, count=8, seed=4
    )
    assert variants(QUESTION, OTHERS, count=8, seed=4) != variants(
        QUESTION, OTHERS, count=8, seed=5
    )


@pytest.mark.parametrize("question", ["", "Hello", "   "])
def test_a_question_of_one_word_has_none(question):
    assert variants(question, OTHERS, count=5, seed=1) == []


def test_a_short_question_gives_what_it_has():
    found = variants("late orders", count=50, seed=1)
    assert set(found) <= {"late", "orders", "orders late"}


def test_any_script_will_do():
    found = variants("请 列出 上个月 完成 的 订单", count=5, seed=1)
    assert len(found) == 5


@pytest.mark.parametrize(
    ("others", "tokens"),
    [([], 1), ([(9, 9)], 1), ([(1, 2, 9), (1, 9, 9)], 3), ([(1, 2, 3, 4)], 4)],
)
def test_tokens_that_tell_an_answer_from_the_others(others, tokens):
    assert telling_tokens((1, 2, 3), others) == tokens


def test_words_of_sql_are_not_the_questions():
    query = "SELECT COUNT(*) FROM people WHERE city = 'New York' AND age IN (30) ORDER BY name"
    assert told_words(query) == {"people", "city", "new", "york", "age", "name", "30"}
    assert told_words('{"from": 3}') == {"from", "3"}
