import pytest

from knowledge.sources import Source, leads_out, sources_in, stored_copy
from storage.datadir import DataDir


def test_a_folders_files_are_named_by_their_path_without_hidden_ones(docs):
    for name in (".hidden.md", "~$note.txt", ".git/config.txt"):
        (docs / name).parent.mkdir(exist_ok=True)
        (docs / name).touch()
    found = sources_in(docs)
    assert [one.name for one in found] == [
        *("note.txt", "returns.md", "sub/hours.html", "travel.md", "warranty.md")
    ]
    assert {one.folder for one in found} == {str(docs)}
    assert sources_in(docs / "note.txt") == [Source(docs / "note.txt", "note.txt", None)]


def test_a_link_out_of_its_folder_is_seen(docs, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (docs / "link.txt").symlink_to(tmp_path / "secret.txt")
    (docs / "inside.txt").symlink_to(docs / "note.txt")
    assert [one.name for one in sources_in(docs) if leads_out(one)] == ["link.txt"]


@pytest.mark.parametrize("name", ["a/../../b.md", "größe.txt", "x" * 300 + ".md", "a b?c=d"])
def test_a_copy_lies_in_its_workspaces_folder_under_a_name_of_its_own(tmp_path, name):
    place = stored_copy(DataDir(tmp_path), 3, name)
    assert place.parent == DataDir(tmp_path).documents / "3"
    assert place.name.isascii() and len(place.name) < 100
    assert place != stored_copy(DataDir(tmp_path), 3, name + "!")
