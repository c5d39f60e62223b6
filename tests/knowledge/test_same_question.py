"""What is the same question and what is not, by example and on the near-misses."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.same_question import base_form, meaning_key, same_question, what_differs

ANSWERS = Path(__file__).parents[1] / "benchmarks" / "answers"


def pairs(name):
    """The near-misses and the true paraphrases of a file, as pairs of questions."""
    rows = [json.loads(line) for line in (ANSWERS / name).read_text().splitlines()]
    near = [(row["question"], one) for row in rows for all in row["near"].values() for one in all]
    return near, [(row["question"], one) for row in rows for one in row["same"]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Which courses start in September?", "please show me the courses that begin in September"),
        ("How many visitors came in July?", "What is the number of visitors that came in July?"),
        ("What does a day ticket cost?", "How much is a day ticket?"),
        ("What does a day ticket cost?", "What is the price of a day ticket?"),
        ("When does the night shift start?", "At what time does the night shift begin?"),
        ("Which invoices were paid by card?", "Show the invoices that have been paid by card."),
        ("Which accounts were opened after 2020?", "List the accounts opened after 2020."),
        ("Who works more than 1,500 hours?", "who works over 1500 hours"),
        ("Departments with at least 5 people", "departments with five or more people"),
        ("Orders between 1 and 31 March", "orders from March 1st to March 31st"),
        ("What's the smallest order quantity?", "How high is the minimum order quantity?"),
        ("Is parking free on Sundays?", "Is parking free of charge on Sunday?"),
        ("Sales in May", "sales in may"),
        ("Does the warranty cover the battery?", "Is the battery covered by the warranty?"),
        ("Can I change the address?", "Can the address be changed?"),
        ("Which port does the server use?", "Which port is used by the server?"),
        ("How many orders came in May?", "In May, how many orders came?"),
        ("What is the price of the boots?", "What is the boots' price?"),
        ("How many tickets are open?", "How many open tickets are there?"),
        ("When was customer Lee's last order?", "When was the last order of customer Lee?"),
        ("When is the deadline?", "What is the deadline?"),
        ("How many points do I need to pass?", "How many points are needed to pass?"),
        ("I want to pay by card, how do I do that?", "How do I pay by card?"),
        ("Turn off the heating.", "Turn the heating off."),
        ("What happens if I pay late?", "What happens when I pay late?"),
        ("Is lunch included in the ticket?", "Does the ticket include lunch?"),
        ("How much is the late fee?", "What is the late fee?"),
        ("Who paid $1,500?", "Who paid 1500 dollars?"),
        ("Is it (really) free?", "Is it really free?"),
        ("Do I have to register?", "Must I register?"),
        ("How many hours did the team log?", "How many hours were logged by the team?"),
        ("List the shipped orders of May.", "Which orders of May were shipped?"),
        ("Who was on call last weekend?", "Last weekend, who was on call?"),
        ("Show all rooms with a view.", "Which rooms have a view?"),
        ("WHICH TOOLS ARE FREE?", "which tools are free"),
        ("Can't I park here?", "Can I not park here?"),
        ("Wie hoch ist der Rabatt?", "wie hoch ist der rabatt"),
    ],
)
def test_the_same_in_other_words(one, other):
    assert what_differs(one, other) == "" == what_differs(other, one)
    assert same_question(one, other)
    assert meaning_key(one) == meaning_key(other)


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("Which tools are free?", "Which tools are not free?", "negation"),
        ("Rooms with a view", "Rooms without a view", "negation"),
        ("Which tools are free?", "How many tools are free?", "kind"),
        ("When does the loft open?", "Does the loft open?", "kind"),
        ("Orders in May", "Orders in June", "words"),
        ("How many items are in 3 boxes?", "How many items are in 13 boxes?", "words"),
        ("Who is the oldest member?", "Who is the older member?", "words"),
        ("Shipping to Denmark", "Shipping from Denmark", "relation"),
        ("Sales since March", "Sales until March", "relation"),
        ("Projects with more than 5 people", "Projects with less than 5 people", "relation"),
        ("Raise the discount to 5 percent", "Raise the discount by 5 percent", "relation"),
        ("Is the item in stock?", "Is the item out of stock?", "relation"),
        ("How many tickets are open?", "How many tickets were open?", "time"),
        ("Which orders ship?", "Which orders will ship?", "time"),
        ("Which students fail the exam?", "Which students failed the exam?", "time"),
        ("Do I have to pay?", "Do I pay?", "time"),
        ("Does A replace B?", "Does B replace A?", "order"),
        ("Does A replace B?", "Is A replaced by B?", "order"),
        ("Which team does Bo coach?", "Which team coaches Bo?", "order"),
        ("Who is the father of the bride?", "Who is the bride of the father?", "order"),
        ("Compare 5 of A with 3 of B", "Compare 3 of A with 5 of B", "order"),
        ("How do I return a jacket?", "How do I get a jacket?", "words"),
        ("Are all rooms free?", "Are any rooms free?", "words"),
        ("Can you help me?", "Can I help Tom?", "kind"),
        ("Do I need a visa?", "Do you need a visa?", "person"),
        ("What is my role?", "What is her role?", "person"),
        ("Can I take it with milk?", "Should I take it with milk?", "time"),
        ("An account for my child", "An account with my child", "relation"),
        ("Suppliers in Germany", "Suppliers to Germany", "relation"),
        ("Open invoices of March", "Open the invoices of March", "order"),
        ("How long do you keep my data?", "How long do I keep your data?", "person"),
        ("Can my doctor see it before I do?", "Can my doctor see it after I do?", "relation"),
        ("How many units are left in Leeds?", "How many units left Leeds?", "relation"),
        ("Who is Tom's manager?", "Whose manager is Tom?", "words"),
        ("Turn the heating off.", "Turn the heating on.", "relation"),
        ("How many guests stay in a room?", "How many guests may stay in a room?", "time"),
        ("Fields sprayed in May", "Fields to be sprayed in May", "time"),
        ("Items stored at -5 degrees", "Items stored at 5 degrees", "words"),
        ("Rows with price > 5", "Rows with price < 5", "words"),
        ("Who writes C#?", "Who writes C?", "words"),
        ("Is 👍 right?", "Is 👎 right?", "words"),
        ("Deliver by Monday?", "Deliver on Monday?", "relation"),
        ("Was kostet der Versand?", "Was kostete der Versand?", "words"),
        ("Ist das möglich?", "Ist das nicht möglich?", "words"),
        ("How high is the IT budget?", "How high is the budget?", "words"),
        ("What did Will order?", "What did they order?", "words"),
        ("Does plan A include lunch?", "Does a plan include lunch?", "words"),
        ("Sales of May 2024", "Sales of 2024", "words"),
        ("?", "!", "words"),
    ],
)
def test_what_tells_two_questions_apart(one, other, differs):
    assert what_differs(one, other) == differs == what_differs(other, one)


@pytest.mark.parametrize(
    ("name", "recalled"), [("near_misses.jsonl", 0.6), ("near_misses_more.jsonl", 0.45)]
)
def test_hard_near_misses_and_true_paraphrases(name, recalled):
    """The aims: at most 1% of the near-misses are taken for the same, at least 60% of the others.

    The first file was frozen before there was a matcher, the second is freer in its words.
    """
    near, same = pairs(name)
    assert len(near) >= 200
    false = [pair for pair in near if same_question(*pair)]
    assert len(false) <= 0.01 * len(near), false
    assert sum(same_question(*pair) for pair in same) >= recalled * len(same)


def test_no_two_of_the_corrected_questions_are_the_same_one():
    questions = sorted({question for question, _ in pairs("near_misses.jsonl")[0]})
    taken = [
        (one, other)
        for at, one in enumerate(questions)
        for other in questions[:at]
        if same_question(one, other)
    ]
    assert taken == []


@given(st.text(), st.text())
def test_any_text_is_compared_both_ways_alike_and_with_the_key(one, other):
    same = same_question(one, other)
    assert same == same_question(other, one)
    assert same_question(one, one)
    if same and meaning_key(one):
        assert meaning_key(one) == meaning_key(other)


@pytest.mark.parametrize("text", ["x" * 200_000, "or more " * 30_000, "a, " * 70_000])
def test_a_long_text_is_only_itself_and_takes_no_time(text):
    assert same_question(text, text)
    assert not same_question(text, text + " not")
    assert meaning_key(text) == ""


def test_comparison_stays_in_a_base_form():
    assert [base_form(word) for word in ("boxes", "sold", "older", "oldest", "4.2")] == [
        "box",
        "sell",
        "old+er",
        "old+st",
        "4.2",
    ]
