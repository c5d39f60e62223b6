"""How a document was cut, a page of passages at a time."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.passages import PAGE, PassagesForm
from assistant.security import may_administer
from storage.documents import put_document


@pytest.fixture
def form(office):
    chunks = [("Returns", f"Passage <{number}>.") for number in range(PAGE + 1)]
    with closing(office.app.db()) as db:
        put_document(
            db,
            office.team.id,
            name="long.md",
            hash="hash",
            media_type="text/markdown",
            chunks=chunks,
        )
    with gr.Blocks():
        return PassagesForm(office.app, gr.Dropdown([]), gr.Dropdown([]))


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def test_a_page_and_the_next(office, form):
    first = press(office, form.show, "long.md")
    assert f"passages 1 to {PAGE} of {PAGE + 1}" in first[form.listed]
    assert "Passage &lt;0&gt;." in first[form.listed] and "Returns" in first[form.listed]
    assert first[form.later]["visible"] and not first[form.earlier]["visible"]
    second = press(office, form.after, "long.md", first[form.start])
    assert f"Passage &lt;{PAGE}&gt;." in second[form.listed]
    assert "Passage &lt;0&gt;." not in second[form.listed]
    assert second[form.earlier]["visible"] and not second[form.later]["visible"]
    assert press(office, form.before, "long.md", second[form.start]) == first


def test_only_of_this_workspace_and_for_admins(office, form):
    with pytest.raises(gr.Error, match="Choose a document"):
        press(office, form.show, None)
    with pytest.raises(gr.Error, match="no document 'long.md' in this workspace"):
        press(office, form.show, "long.md", workspace=1)
    with pytest.raises(gr.Error, match="may not do this"):
        press(office, form.show, "long.md", who="rita")
