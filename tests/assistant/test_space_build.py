"""A Space's folder: whole, small enough, its requirements those of pyproject and installed here."""

import ast
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from assistant.space_build import FILE_BYTES, PACKAGES, build_space, requirements
from storage.errors import BadInput, Refused

HOUSE = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("space") / "built"
    build_space(folder)
    return folder


def test_packages_lie_at_its_root_with_their_data_files(built):
    for package in PACKAGES:
        ours = {path.relative_to(HOUSE) for path in (HOUSE / package).rglob("*") if path.is_file()}
        there = {path.relative_to(built) for path in (built / package).rglob("*") if path.is_file()}
        assert there == {path for path in ours if "__pycache__" not in path.parts}
    assert {path.name for path in built.iterdir()} == {
        *PACKAGES, "app.py", "README.md", "LICENSE", "requirements.txt"
    }  # fmt: skip
    assert max(path.stat().st_size for path in built.rglob("*")) <= FILE_BYTES
    ast.parse((built / "app.py").read_text())


def test_front_matter_names_python_login_and_the_gradio_that_is_pinned(built):
    text = (built / "README.md").read_text()
    matter = text.split("---\n")[1]
    facts = dict(line.split(": ", 1) for line in matter.strip().splitlines())
    assert facts["sdk"] == "gradio" and facts["app_file"] == "app.py"
    assert facts["python_version"] == '"3.12"' and facts["hf_oauth"] == "true"
    assert facts["sdk_version"] == metadata.version("gradio")
    assert len(facts["short_description"]) <= 60 and "{" not in text


def test_every_requirement_is_satisfied_by_what_the_tests_run_on(built):
    lines = (built / "requirements.txt").read_text().splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("--")]
    assert len(wanted) > 30
    for one in wanted:
        assert one.specifier.contains(metadata.version(one.name), prereleases=True), one


@pytest.mark.parametrize(
    "hardware, torch, more",
    [
        ("cpu", "torch==2.13.0", {"--extra-index-url https://download.pytorch.org/whl/cpu"}),
        ("gpu", "torch==2.13.0", set()),
        ("zerogpu", "torch==2.11.0", {"spaces==0.51.3"}),
    ],
)
def test_hardware_decides_which_torch_and_whether_spaces(hardware, torch, more):
    lines = set(requirements(HOUSE, hardware))
    assert torch in lines
    assert {line for line in lines if line.startswith(("--", "spaces"))} == more


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(BadInput, match="not empty"):
        build_space(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_the_sources_it_says_what_to_do(tmp_path):
    with pytest.raises(Refused, match="clone the repository"):
        build_space(tmp_path / "to", house=Path(sys.prefix))


def test_a_dependency_without_a_version_is_named(tmp_path):
    text = '[project]\ndependencies = ["torch>=2.6", "unheard-of"]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    with pytest.raises(Refused, match="unheard-of"):
        requirements(tmp_path, "cpu")
