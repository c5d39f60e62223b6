"""`apprentice cells`, as it is typed."""

import pytest

from tests.assistant.command_line import refusal
from tests.fleet import NAME, shop_in_a, two_cells


@pytest.fixture
def typed(apprentice, tmp_path, monkeypatch):
    """The command line, with the file of cells in the test's folder."""
    monkeypatch.setenv("APPRENTICE_CELLS", str(tmp_path / "cells.db"))
    return apprentice


def test_from_two_directories_to_a_moved_workspace(typed, tmp_path):
    for name, port in (("a", 7861), ("b", 7862)):
        said = typed(
            *("cells", "add", name, "--data", tmp_path / name),
            *("--address", f"http://127.0.0.1:{port}"),
        )
        assert f"apprentice serve --cell {name}" in said
    shop_in_a(tmp_path)
    listed = typed.rows("cells", "list")
    assert [(row["cell"], row["workspaces"]) for row in listed] == [
        ("a", ["other", NAME]),
        ("b", []),
    ]
    place = tmp_path / "router.conf"
    typed("cells", "config", "--domain", "chat.test", "--listen", "8080", "--to", place)
    assert f'"{NAME}.chat.test" "apprentice_a"' in place.read_text()
    [done] = typed.rows("cells", "move", NAME, "--to", "b")
    assert (done["from"], done["to"], done["state"], done["trouble"]) == ("a", "b", "done", "")
    assert done["rows"] > 80 and len(done["sha256"]) == 64 and done["still_ms"] > 0
    assert f'"{NAME}.chat.test" "apprentice_b"' in place.read_text()
    assert "listen 8080;" in typed("cells", "config", "--domain", "other.test")
    assert not (tmp_path / "data").exists()  # nothing was made where no house is meant


def test_one_sentence_for_what_cannot_be(typed, tmp_path):
    typed("cells", "list", code=2)
    assert "There is no file of cells" in refusal(typed)
    two_cells(tmp_path)
    typed("cells", "move", "none", "--to", "b", code=2)
    assert "No cell has a workspace 'none'" in refusal(typed)
    typed("serve", "--cell", "c", code=2)
    assert "There is no cell 'c'" in refusal(typed)
    typed("cells", "config", code=2)
    assert "domain is not known" in refusal(typed)
    typed("cells", "config", "--domain", "d.test", "--to", tmp_path / "no" / "file", code=2)
    assert "The router was not told" in refusal(typed)
