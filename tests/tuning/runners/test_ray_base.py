"""A base that is cut into packages and put together again is the same base."""

import pytest

from storage.errors import BadInput
from storage.models import fingerprint
from tuning.runners import ray_base
from tuning.runners.ray_base import NAME, cut_base, join_base


@pytest.mark.parametrize("size", [1000, 40_000, 1 << 20])
def test_it_is_the_same_whatever_the_packages_hold(size, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_base, "PACKAGE_BYTES", size)
    folders = cut_base(tiny_base.folder, tmp_path / "cut")
    for folder in folders:
        assert sum(piece.stat().st_size for piece in folder.iterdir()) <= size
    assert (len(folders) > 1) == (size < 1 << 20)
    # each package lies in a folder of its own on the node, in whatever order
    places = []
    for number, folder in enumerate(reversed(folders)):
        place = tmp_path / "nodes" / f"_ray_pkg_{number}"
        place.mkdir(parents=True)
        folder.rename(place / folder.name)
        places.append(str(place))
    joined = join_base(tmp_path / "base", places)
    assert fingerprint(joined) == tiny_base.fingerprint
    assert not (joined / "model.gguf").exists(), "only what trains is sent"


def test_cutting_again_gives_the_same_packages(tiny_base, tmp_path):
    """Ray names a package by its content, and so finds that it has it."""
    first, second = (cut_base(tiny_base.folder, tmp_path / name) for name in ("a", "b"))
    assert [folder.name for folder in first] == [folder.name for folder in second]
    for one, other in zip(first, second, strict=True):
        assert {path.name: path.read_bytes() for path in one.iterdir()} == {
            path.name: path.read_bytes() for path in other.iterdir()
        }


def test_an_empty_file_is_not_lost(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "a.json").touch()
    (tmp_path / "base" / "b.json").write_text("{}")
    (folder,) = cut_base(tmp_path / "base", tmp_path / "cut")
    assert folder.name == f"{NAME}000"
    joined = join_base(tmp_path / "there", [str(tmp_path / "cut")])
    assert {path.name: path.read_text() for path in joined.iterdir()} == {
        "a.json": "",
        "b.json": "{}",
    }


def test_one_that_is_too_large_is_refused_with_the_remedy(tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_base, "MOST_BYTES", 1000)
    with pytest.raises(BadInput, match="name it in APPRENTICE_RAY_BASE"):
        cut_base(tiny_base.folder, tmp_path / "cut")


def test_a_node_without_it_says_so(tmp_path):
    with pytest.raises(BadInput, match="did not come to this node"):
        join_base(tmp_path / "base", [str(tmp_path)])
