"""The reference has every verb and every setting, and the whole site builds with no broken link."""

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.settings import Settings
from docs.reference import EVERYWHERE, PAGES, write_pages
from storage.workspace_settings import WorkspaceSettings
from tests.assistant.test_parser import LEAVES
from tuning.config import RoundConfig

ROOT = Path(__file__).parent.parent.parent
LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?([^\" >]+)")
SETTINGS = {
    "settings": [f"APPRENTICE_{name.upper()}" for name in Settings.model_fields],
    "workspace-settings": [
        *("instructions", "access"),
        *(field.name for field in dataclasses.fields(WorkspaceSettings)),
    ],
    "dials": [field.name for field in dataclasses.fields(RoundConfig)],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The pages with what they are built of, in a folder of their own."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("reference"))
    for name in ("mkdocs.yml", "README.md"):
        shutil.copy(ROOT / name, folder)
    write_pages(folder / "docs" / "reference")
    return folder


def sections(site: Path, page: str) -> dict[str, str]:
    """What stands under each heading of a reference page."""
    text = (site / "docs" / "reference" / f"{page}.md").read_text()
    parts = re.split(r"^##+ (.*)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_verb_with_all_its_options(site):
    found = sections(site, "command-line")
    for words, parser in LEAVES.items():
        told = found[f"apprentice {words}"]
        for action in parser._actions:
            if action.dest not in EVERYWHERE:
                assert (action.option_strings or [action.metavar])[0] in told, (words, action)
        assert ("Takes `--workspace`" in told) == parser.get_default("wants_workspace")


@pytest.mark.parametrize("page", sorted(SETTINGS))
def test_every_setting_with_what_it_is(site, page):
    found = sections(site, page)
    assert list(found) == SETTINGS[page]
    for name, told in found.items():
        assert len(told.split()) > 5, name


def test_bounds_and_defaults_are_told(site):
    assert "a number, 0 to 2. Default: `0.0`" in sections(site, "workspace-settings")["temperature"]
    assert "a whole number, 1 to 256. Default: `16`" in sections(site, "dials")["rank"]
    assert "Default: `7860`" in sections(site, "settings")["APPRENTICE_PORT"]


def test_every_route_and_file(site):
    assert "message_id" in sections(site, "http-api")["POST /v1/feedback"]
    assert "workspace" in sections(site, "http-api")["GET /v1/models"]
    found = sections(site, "files")
    assert "DATA/apprentice.db" in found["Data directory"]
    assert "base_fingerprint" in found["manifest.json"]
    assert "train.jsonl" in found["A round's bundle"]


def test_the_site_builds_and_fetches_nothing_from_elsewhere(site):
    words = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(words, cwd=site, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    root = site / "build" / "docs"
    pages = sorted(root.rglob("*.html"))
    assert {page.stem for page in pages} >= {*PAGES, "index", "tutorial", "privacy"}
    for page in pages:
        loaded = LOADED.findall(page.read_text())
        assert loaded and not [one for one in loaded if "//" in one], page
        for one in loaded:  # the page for lost addresses names its files from the root
            place = root / one[1:] if one.startswith("/") else page.parent / one
            assert place.exists(), (page, one)
