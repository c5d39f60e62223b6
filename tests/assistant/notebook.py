"""The notebook that trains a bundle elsewhere, run as a program in a folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import assistant

HOUSE = Path(assistant.__file__).parent.parent
NOTEBOOK = HOUSE / "docs" / "train_elsewhere.ipynb"
INSTALLS = "install"
"""Tag of the cell that fetches packages, which no test does."""


def code_cells() -> list[str]:
    """The notebook's code, a text a cell, without what installs."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and INSTALLS not in cell["metadata"].get("tags", ())
    ]


def run_cells(cells: list[str], folder: Path) -> str:
    """What the cells print when they run one after another in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", "\n".join(cells)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(HOUSE)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
