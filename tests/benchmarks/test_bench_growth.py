"""The growing house in small: what is measured is what is meant."""

import pytest

from tests.benchmarks.bench_growth import house, measured, report


def test_each_way_does_what_its_name_says(tiny_base, tmp_path, capsys):
    with house(tmp_path / "small", tiny_base.folder, 120) as small:
        override = small.ways["a reply that is an override"](0)[-1]
        assert override.override is not None and override.message.engine is None
        made = small.ways["a reply but for the model"](0)[-1]
        assert made.override is None and made.message.inputs.examples
        assert made.message.completion_tokens == 1
        assert "A question" in str(small.ways["the chat page, a conversation"](0))
        for name in ("new", "approved"):
            shown = str(small.ways[f"feedback, first page of {name}"](0))
            assert "Nothing here." not in shown
        assert small.ways["gaps"](0)
        found = measured([small], 2)
    assert {len(values[120]) for values in found.values()} == {2}
    assert report(found) == 0 and "all within" in capsys.readouterr().out


@pytest.mark.parametrize(("later", "missed"), [(14.0, 0), (16.0, 1)])
def test_growth_beyond_the_aim_is_told(later, missed, capsys):
    assert report({"gaps": {1000: [10.0] * 3, 10_000: [later] * 3}}) == missed
    assert ("gaps with 10,000 rows" in capsys.readouterr().out) == bool(missed)
