"""Fields are read from the source: type, default, and the text below."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from docs.fields import Field, fields_of


@dataclass
class Sample:
    """Some fields."""

    folder: Path = Path("data")
    """Where it
    lies."""
    way: Literal["", "fast"] = "fast"
    counts: list[int] = field(default_factory=list)
    cores: int = field(default_factory=lambda: 1 + 1)
    """How many."""
    stops: tuple[str, ...] = ()


def test_type_default_and_text_of_each_field():
    folder, way, counts, cores, stops = fields_of(Sample)
    assert folder == Field("folder", "Path", "data", "Where it lies.")
    assert (way.default, way.said, way.takes) == ("fast", "", '"", `fast`')
    assert (counts.default, counts.takes) == ("", "`list[int]`")
    assert (cores.default, cores.said, cores.takes) == ("1 + 1", "How many.", "a whole number")
    assert (stops.default, stops.takes) == ("", "a JSON list of texts")
