"""What an adapter learned from, in words."""

from assistant.admin.lineage_view import SHOWN, lineage_view


def row(number, **more):
    known = {"round": 3, "kind": "correction", "split": "train", "feedback": number}
    known |= {"erased": False, "question": f"Question {number}?", "taught": "Yes.", "rating": None}
    known |= {"contributor": "user:1", "reviewer": "user:2", "documents": ["a.md"]}
    known |= {"approved_by": ["ann", "ben"]}
    return known | more


def test_counts_documents_and_rows_are_there_and_escaped():
    shown = lineage_view(
        4,
        [
            row(1, question="How <long>?"),
            row(2, split="new wordings", documents=[]),
            row(3, erased=True, question=None, taught=None, contributor=None, documents=[]),
            row(None, kind="replay", documents=["b.md"], removed=False, rows=6),
        ],
    )
    assert "What adapter 4 learned from" in shown
    assert "<dt>Learned</dt><dd>2</dd>" in shown
    assert "<dt>Kept out, to judge by</dt><dd>1</dd>" in shown
    assert "<dt>Erased since</dt><dd>1</dd>" in shown
    assert "<dd>a.md, b.md</dd>" in shown
    assert "How &lt;long&gt;?" in shown and "<td>kept out: new wordings</td>" in shown
    assert "<td>3</td><td>erased</td><td>–</td>" in shown
    assert "Question None" not in shown
    assert "<td>ann, ben</td>" in shown


def test_of_many_the_first_are_shown_and_the_rest_counted():
    shown = lineage_view(4, [row(n) for n in range(SHOWN + 3)])
    assert shown.count("<td>trained</td>") == SHOWN
    assert "3 more: <code>apprentice lineage 4</code>" in shown


def test_an_imported_one_says_that_nothing_is_known():
    assert "it was imported" in lineage_view(4, [])
