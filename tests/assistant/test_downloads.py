"""Plots as files of the admin page; bundles are tried with their form (`test_bundles`)."""

from xml.etree import ElementTree

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assistant.downloads import download_routes
from assistant.plots import address
from storage.copies import feedback_exports
from storage.rounds import add_metric, create_round
from tests.assistant.command_line import run_verb
from tests.assistant.people import everybody


@pytest.fixture
def fetch(app):
    """Fetches an address as one of the people."""
    people = everybody(app)
    client = TestClient(Starlette(routes=download_routes(app)))

    def get(path, who="ada"):
        cookies = people[who].cookies.items()
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies)}
        return client.get(path, headers=header)

    return get


@pytest.fixture
def drawn(db, workspace):
    made = create_round(db, workspace.id, config={}, base_fingerprint="f" * 64)
    for step in (1, 2):
        add_metric(db, made.id, step, "loss", 1 / step)
    return made


def test_both_files_of_a_plot(fetch, drawn):
    svg = fetch(address("loss", "svg", round=drawn.id))
    assert (svg.status_code, svg.headers["content-type"]) == (200, "image/svg+xml")
    assert svg.headers["content-disposition"] == 'attachment; filename="loss.svg"'
    ElementTree.fromstring(svg.text)
    table = fetch(address("loss", "csv", workspace=drawn.workspace_id))
    assert table.text == "step,Loss\r\n1,1.0\r\n2,0.5\r\n"


def test_who_may_not_see_it_gets_nothing(fetch, drawn):
    for who in ("rita", "mo", "visitor", "anonymous"):
        answer = fetch(address("loss", "csv", round=drawn.id), who)
        assert answer.status_code == 404 and "Loss" not in answer.text, who
    assert "nothing to draw" in fetch("/admin/plots/ratings.svg?workspace=1", "rita").text


@pytest.mark.parametrize(
    "path",
    [
        "/admin/plots/loss.svg",
        "/admin/plots/loss.svg?round=99",
        "/admin/plots/loss.svg?round=-1&workspace=x",
        "/admin/plots/map.csv?workspace=77",
        "/admin/plots/loss.png?workspace=1",
        "/admin/plots/pie.svg?workspace=1",
    ],
)
def test_what_is_not_there(fetch, path):
    assert fetch(path).status_code == 404


def test_a_map_is_on_record_since_it_holds_what_people_asked(app, db, workspace, fetch, tmp_path):
    (tmp_path / "a.md").write_text("\n\n".join(f"# Part {n}\n\nPump {n} leaks." for n in range(5)))
    taken = {"site": None, "max_pages": None, "hosts": []}
    run_verb(app, "ingest", workspace="default", paths=[str(tmp_path / "a.md")], **taken)
    answer = fetch(address("map", "csv", workspace=workspace.id), "rita")
    assert answer.text.count("passage,") == 5
    (copy,) = feedback_exports(db, "9999")
    assert (copy.place, copy.format) == ("downloaded by rita", "map.csv")
