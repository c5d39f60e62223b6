"""The folder of a Hugging Face Space: our packages, its own three files, pinned requirements."""

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage.errors import BadInput, Refused

Hardware = Literal["cpu", "gpu", "zerogpu"]
PACKAGES = ("assistant", "knowledge", "storage", "tuning")
SUGGESTED: dict[str, str] = {"cpu": "cpu-basic", "gpu": "t4-small", "zerogpu": "zero-a10g"}
"""The Hub's names of the hardware, for its `suggested_hardware`."""
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""The small builds of torch; they sort before those of PyPI, which bring CUDA along."""
ZERO_GPU = {"torch": "2.11.0"}
"""ZeroGPU runs the versions on its list only; ours in `constraints.txt` is not on it."""
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc")
FILE_BYTES = 10 * 2**20
"""The Hub takes a file up to here in plain git."""


@dataclass(frozen=True)
class Built:
    """What was written: files, bytes in all, and requirements."""

    files: int
    bytes: int
    requirements: int


def build_space(to: Path, hardware: Hardware = "cpu", house: Path | None = None) -> Built:
    """Write into the new or empty folder `to` all that a Space for this hardware needs.

    `house` is the folder with our sources. BadInput when there is something in `to` or it cannot be
    written, Refused where Apprentice is installed without its sources.
    """
    house = house or Path(__file__).parent.parent
    if not (house / "spaces").is_dir() or not (house / "pyproject.toml").is_file():
        raise Refused(
            "A Space is built from the source folder, and this Apprentice was installed without: "
            "clone the repository and run `space build` there."
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BadInput(f"{to} is not empty: name a new folder with --to.")
    wanted = requirements(house, hardware)
    try:
        to.mkdir(parents=True, exist_ok=True)
        for package in PACKAGES:
            shutil.copytree(house / package, to / package, ignore=NOT_COPIED)
        for file in (house / "LICENSE", house / "spaces" / "app.py"):
            shutil.copyfile(file, to / file.name)
        (to / "README.md").write_text(_readme(house, hardware))
        (to / "requirements.txt").write_text("\n".join(wanted) + "\n")
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise BadInput(f"The Space cannot be written to {to} ({said}).") from error
    files = [path for path in to.rglob("*") if path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    large = [path.relative_to(to) for path, size in sizes.items() if size > FILE_BYTES]
    if large:
        raise Refused(f"{large[0]} is larger than the Hub takes without Git LFS: make it smaller.")
    return Built(len(files), sum(sizes.values()), sum(not one.startswith("--") for one in wanted))


def requirements(house: Path, hardware: Hardware) -> list[str]:
    """The lines of `requirements.txt`: pyproject's dependencies at the versions in constraints."""
    project = tomllib.loads((house / "pyproject.toml").read_text())["project"]
    pinned = _pinned(house) | (ZERO_GPU if hardware == "zerogpu" else {})
    lines = [f"--extra-index-url {CPU_INDEX}"] if hardware == "cpu" else []
    for dependency in project["dependencies"]:
        found = re.match(r"([\w.-]+)(\[[\w,-]+\])?", dependency)
        assert found, dependency
        name = _normal(found[1])
        if name not in pinned:
            raise Refused(f"constraints.txt does not pin {found[1]}: add its version there.")
        lines.append(f"{found[1]}{found[2] or ''}=={pinned[name]}")
    return [*lines, "spaces==0.51.3"] if hardware == "zerogpu" else lines


def _pinned(house: Path) -> dict[str, str]:
    lines = (house / "constraints.txt").read_text().split()
    return {_normal(name): version for name, _, version in (one.partition("==") for one in lines)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _readme(house: Path, hardware: Hardware) -> str:
    text = (house / "spaces" / "README.md").read_text()
    text = text.replace("{gradio}", _pinned(house)["gradio"])
    return text.replace("{hardware}", SUGGESTED[hardware])
