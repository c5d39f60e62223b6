"""What a round measured, in tables and lines."""

from assistant.admin.scores import candidate_line, score_table, training_facts


def counts(right, total):
    return {"right": right, "total": total}


SCORES = {
    "base": {"new wordings": counts(1, 10), "sentinel": counts(38, 60)},
    "candidate": {"sentinel": counts(37, 60), "new wordings": counts(9, 10)},
    "other<": {"new wordings": counts(2, 10)},
}


def test_rows_and_slices_stand_in_a_fixed_order_with_gaps():
    shown = score_table(SCORES)
    assert shown.index("The new adapter") < shown.index("The base model") < shown.index("other&lt;")
    assert '<th scope="col">New wordings</th><th scope="col">General questions</th>' in shown
    assert "<td>The new adapter</td><td>9 of 10</td><td>37 of 60</td>" in shown
    assert "<td>other&lt;</td><td>2 of 10</td><td>–</td>" in shown


def test_nothing_measured_is_nothing():
    assert score_table({}) == score_table({"base": {}}) == score_table({"base": None}) == ""
    assert candidate_line({}) == candidate_line({"loss": 0.1}) == ""


def test_the_candidate_in_one_line():
    assert candidate_line(SCORES) == "new wordings 9 of 10, general questions 37 of 60"


def test_how_the_training_went_and_with_what():
    summary = {"training": {"learned": 9, "pairs": 9, "steps": 30}, "peak_rss_bytes": 662405120}
    shown = training_facts(summary, {"runner": "accelerate", "learning_rate": 0.001, "seed": 7})
    assert "<dt>Runner</dt><dd>accelerate</dd>" in shown
    assert "<dt>Pairs learned</dt><dd>9 of 9</dd>" in shown
    assert "<dt>Memory</dt><dd>0.7 GB</dd>" in shown
    assert "<dt>Learning rate</dt><dd>0.001</dd>" in shown
    assert "eed" not in shown
    assert training_facts({}, {}) == '<dl class="facts"></dl>'
