"""Tables, facts and bars: every cell escaped."""

from assistant.admin.tables import bar, facts, job_state, table
from storage.records import Job


def test_a_table_has_a_head_and_its_rows():
    shown = table(("Name", "Count"), [("a<b>", 1), ("c\nd", None)], empty="None.")
    assert '<th scope="col">Name</th>' in shown
    assert "<td>a&lt;b&gt;</td><td>1</td>" in shown
    assert "\n" not in shown


def test_a_word_without_an_end_may_be_broken():
    shown = table(("Name",), [("<" * 42 + " " + "b" * 40,)], empty="None.")
    assert f"<td>{'&lt;' * 40}<wbr>&lt;<wbr>&lt; {'b' * 40}</td>" in shown


def test_an_empty_table_is_a_sentence():
    assert table(("Name",), [], empty="None <yet>.") == '<p class="note">None &lt;yet&gt;.</p>'


def test_facts_are_names_with_values():
    assert facts([("a<", "b>")]) == '<dl class="facts"><dt>a&lt;</dt><dd>b&gt;</dd></dl>'


def test_a_bar_says_how_far_and_with_what():
    shown = bar(0.256, "step <3>")
    assert 'value="26"' in shown
    assert "26% · step &lt;3&gt;" in shown


def job(**more):
    known = {"id": 1, "kind": "ingest", "workspace_id": 1, "state": "running", "progress": 0.5}
    known |= {"note": "reading <a>", "cancel_requested": False, "pid": 1, "created_at": ""}
    return Job(**(known | more))


def test_the_state_of_a_job_is_said_in_words():
    assert "50% · reading &lt;a&gt;" in job_state(job(), "Last upload")
    assert "stopping" in job_state(job(cancel_requested=True), "Last upload")
    ended = {"error": "one <b>\ntwo", "finished_at": "2026-11-21T04:58"}
    failed = job_state(job(state="failed", **ended), "Last upload")
    assert failed.count('role="alert"') == 2
    assert "one &lt;b&gt;" in failed and "Last upload, 2026-11-21 04:58 UTC: failed." in failed
    assert "UTC: reading &lt;a&gt;." in job_state(job(state="done", **ended), "Last upload")
