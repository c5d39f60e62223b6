"""Files of a kind that could run code, planted where the server opens files: none is run.

Whoever can write there has everything anyway; this is for a folder that came from elsewhere.
"""

import pickle
from contextlib import closing
from pathlib import Path

from knowledge.ingest import ingest
from knowledge.search import search
from storage.workspaces import set_workspace

BAR = "B29"


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.write_text, (self.mark, "ran"))


def test_no_pickle_in_the_index_is_loaded(app, workspace, tmp_path, record_property):
    """Older Chroma versions kept one in each folder of vectors and loaded it."""
    (tmp_path / "a.md").write_text("# Kiln\n\nThe kiln lifts ten tonnes a day.")
    with closing(app.db()) as db:
        [event] = ingest(
            db, app.datadir, app.index, app.embedder, workspace.id, [tmp_path / "a.md"]
        )
        assert event.status == "added"
        set_workspace(db, workspace.name, "relevance_floor", "0")
    app.close()
    mark, planted = tmp_path / "mark", 0
    folders = [app.datadir.chroma, *(one for one in app.datadir.chroma.rglob("*") if one.is_dir())]
    for folder in folders:
        for name in ("index_metadata.pickle", "header.pkl", "chroma.pickle"):
            (folder / name).write_bytes(pickle.dumps(Evil(mark)))
            planted += 1
    again = type(app)(app.settings, app.datadir)
    with closing(again), closing(again.db()) as db:
        parts = (db, again.index, again.lexical, again.embedder, workspace.id)
        assert search(*parts, "What does the kiln lift?", top_k=5)
    record_property("bar", BAR)
    record_property("trials", planted)
    record_property("failures", int(mark.exists()))
    assert not mark.exists() and planted >= 3
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists(), "else the planted file would not have worked anyway"
