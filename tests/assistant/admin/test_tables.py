"""Tables, facts and bars: every cell escaped."""

from assistant.admin.tables import bar, facts, table


def test_a_table_has_a_head_and_its_rows():
    shown = table(("Name", "Count"), [("a<b>", 1), ("c\nd", None)], empty="None.")
    assert '<th scope="col">Name</th>' in shown
    assert "<td>a&lt;b&gt;</td><td>1</td>" in shown
    assert "\n" not in shown


def test_an_empty_table_is_a_sentence():
    assert table(("Name",), [], empty="None <yet>.") == '<p class="note">None &lt;yet&gt;.</p>'


def test_facts_are_names_with_values():
    assert facts([("a<", "b>")]) == '<dl class="facts"><dt>a&lt;</dt><dd>b&gt;</dd></dl>'


def test_a_bar_says_how_far_and_with_what():
    shown = bar(0.256, "step <3>")
    assert 'value="26"' in shown
    assert "26% · step &lt;3&gt;" in shown
