"""The audit log on the page: newest first, by person and act, a page at a time."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.audit import PAGE, AuditTab
from assistant.security import may_administer
from storage.audit import audit, audit_chain


@pytest.fixture
def log(office, tab):
    with closing(office.app.db()) as db:
        for number in range(PAGE + 1):
            audit(db, "cli:root", "tried <b>", f"thing:{number}", {"key": "top_k"})
        audit(db, office.people["ada"].person.owner, "adapter promoted", "adapter:1")
    return tab(AuditTab)


def press(office, log, *inputs, who="ada"):
    return office.press(who, may_administer, log.show, *inputs)


def test_the_newest_acts_come_first_and_older_ones_on_the_next_page(office, log):
    shown = press(office, log, "", "", "")
    assert shown[log.listed].index("adapter:1<") < shown[log.listed].index(f"thing:{PAGE}<")
    assert "<td>ada</td><td>adapter promoted</td>" in shown[log.listed]
    assert "<td>root, at the command line</td><td>tried &lt;b&gt;</td>" in shown[log.listed]
    assert "key top_k" in shown[log.listed] and "thing:1<" not in shown[log.listed]
    assert shown[log.older]["visible"] and not shown[log.newest]["visible"]
    older = press(office, log, "", "", "", shown[log.before])
    assert "thing:1<" in older[log.listed] and "adapter:1<" not in older[log.listed]
    assert older[log.newest]["visible"]


def test_acts_are_found_by_who_what_and_to_what(office, log):
    ada = office.people["ada"].person.owner
    for chosen in ((ada, "", ""), ("", "adapter promoted", ""), ("", "", " adapter:1 ")):
        shown = press(office, log, *chosen)
        assert "adapter:1<" in shown[log.listed] and "tried" not in shown[log.listed]
        assert not shown[log.older]["visible"]
    assert ("ada", ada) in shown[log.actor]["choices"]
    assert "No such act." in press(office, log, ada, "tried <b>", "")[log.listed]


def test_the_audit_is_for_admins(office, log):
    with pytest.raises(gr.Error, match="may not do this"):
        press(office, log, "", "", "", who="rita")
    with pytest.raises(gr.Error, match="may not do this"):
        office.press("rita", may_administer, log.follow)


def test_whether_a_row_was_changed_is_told(office, log):
    with closing(office.app.db()) as db:
        head = audit_chain(db).head
    assert head in office.press("ada", may_administer, log.follow)[log.chain]
