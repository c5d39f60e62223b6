"""Two installations and one queue: what waits goes to one, the verdicts come back."""

import json
from contextlib import closing

import pytest

from storage.conversations import add_message, message, start_conversation
from storage.database import open_database
from storage.feedback import add_feedback, approve, feedback, feedback_by_key, list_feedback, reject
from storage.overrides import list_overrides
from storage.records import Inputs, Passage
from storage.workspaces import set_workspace, workspace
from tests.assistant.command_line import Typed, refusal, write_rows

PASSAGE = "Goods come back within 45 days."
HISTORY = ({"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello!"})
PRIVATE = "Write to jo.doe@example.org."


class House(Typed):
    """One installation."""

    def db(self):
        return closing(open_database(self.data / "apprentice.db"))

    def judged(self, question, correction, *, history=(), finish="stop", **said):
        """Feedback on a reply that the model gave here."""
        with self.db() as db:
            its = workspace(db, "default").id
            talk = start_conversation(db, its, "visitor:x")
            asked = add_message(db, talk.id, "user", question)
            passages = (Passage(1, 1, "returns.md", PASSAGE, "h", 1.0),)
            reply = add_message(
                *(db, talk.id, "assistant", "I do not know."),
                inputs=Inputs(question, "Be brief.", 1, tuple(history), passages),
                finish_reason=finish,
                parent_id=asked.id,
            )
            given = {"origin": "staff", "contributor": "user:3"} | said
            return add_feedback(db, message_id=reply.id, correction=correction, **given)

    def yes(self, id, *who, **said):
        """Each of them says yes."""
        with self.db() as db:
            for one in who or ("cli:ann",):
                approve(db, id, reviewer=one, **said)

    def row(self, id):
        with self.db() as db:
            return feedback(db, id)

    def answers(self):
        with self.db() as db:
            return [one.answer for one in list_overrides(db, workspace(db, "default").id)]


@pytest.fixture
def south(tmp_path, capsys):
    house = House(tmp_path / "south", capsys)
    house("workspaces", "list")
    return house


@pytest.fixture
def central(tmp_path, capsys):
    house = House(tmp_path / "central", capsys)
    house("workspaces", "list")
    return house


def sent(south, central, tmp_path, name="queue.jsonl", **counts):
    """The queue of the site, taken in at the central one; what that said."""
    file = tmp_path / name
    south("feedback", "export", "--format", "queue", "--site", "south", "--to", file)
    return central.rows("feedback", "import", file, "--strict")[-1]


def back(south, central, tmp_path, name="verdicts.jsonl"):
    file = tmp_path / name
    central("feedback", "export", "--format", "verdicts", "--site", "south", "--to", file)
    return south.rows("feedback", "verdicts", file)[-1]


def test_nothing_is_lost_on_the_way_and_twice_is_once(south, central, tmp_path):
    public = south.judged(
        *("How long?", "45 days."),
        history=HISTORY,
        rating=-1,
        reasons=["Wrong"],
        comment="It says so.",
        group="returns",
        origin="widget",
        contributor="visitor:embed-1-0f0f",
        quarantine=True,
    )
    thumb = south.judged("And then?", None, rating=1)
    assert sent(south, central, tmp_path)["imported"] == 2
    assert sent(south, central, tmp_path, "again.jsonl")["already_there"] == 2
    with central.db() as db:
        far, near = list_feedback(db, workspace(db, "default").id)[::-1]
        inputs = message(db, far.message_id).inputs
    assert (far.status, far.origin, far.site) == ("quarantined", "widget", "site:south")
    assert far.contributor == "south/visitor:embed-1-0f0f"
    for name in ("question", "answer", "correction", "rating", "reasons", "comment", "group"):
        assert getattr(far, name) == getattr(public, name), name
    assert inputs.history == HISTORY
    assert [passage.text for passage in inputs.passages] == [PASSAGE]
    assert (near.status, near.rating, near.correction) == ("new", 1, None)
    assert near.contributor == "south/user:3", "not the one with this number here"
    assert central.rows("feedback", "list", "--site", "south", "--status", "new")[0]["id"] == 2
    assert central.rows("feedback", "sites") == [
        {
            **{"site": "site:south", "name": "south", "quarantined": 1, "new": 1},
            **{"approved": 0, "rejected": 0},
        }
    ]
    assert thumb.id == 2


def test_the_verdicts_come_back_with_both_names(south, central, tmp_path, monkeypatch):
    for house in (south, central):
        with house.db() as db:
            set_workspace(db, "default", "two_reviewers", "true")
    kept, edited, no, open_ = (south.judged(f"Question {n}?", f"{n} days.") for n in range(4))
    sent(south, central, tmp_path)
    central.yes(1, "cli:ann", "cli:ben")
    central.yes(2, "cli:ann", "cli:ben", correction="Two days.", group="days")
    monkeypatch.setenv("LOGNAME", "ben")
    central("feedback", "reject", 3)
    done = back(south, central, tmp_path)
    assert (done["approved"], done["rejected"], done["waits"], done["left"]) == (2, 1, 0, 0)
    first = south.row(kept.id)
    assert (first.first_reviewer, first.reviewer) == ("central/cli:ann", "central/cli:ben")
    assert south.row(edited.id).approved_correction == "Two days."
    assert south.row(edited.id).group == "days"
    assert south.row(no.id).reviewer == "central/cli:ben"
    assert south.row(open_.id).status == "new"
    assert south.answers() == ["Two days.", "0 days."]
    again = back(south, central, tmp_path, "again.jsonl")
    assert (again["approved"], again["rejected"], again["decided_here"]) == (0, 0, 3)
    central("feedback", "reject", 1)
    assert back(south, central, tmp_path, "later.jsonl")["rejected"] == 1
    assert south.row(kept.id).status == "rejected", "they changed their mind"


def test_one_yes_there_is_a_first_one_here_where_two_are_wanted(south, central, tmp_path):
    with south.db() as db:
        set_workspace(db, "default", "two_reviewers", "true")
    given = south.judged("How long?", "45 days.")
    sent(south, central, tmp_path)
    central.yes(1)
    assert back(south, central, tmp_path)["waits"] == 1
    assert south.row(given.id).first_reviewer.startswith("central/cli:")
    assert south.answers() == []
    south.yes(given.id, "cli:south")
    assert south.answers() == ["45 days."]


def test_private_values_stay_here_and_their_words_are_decided_here(south, central, tmp_path):
    given = south.judged("Whom do I ask?", PRIVATE, comment="Or 030 1234567 by telephone.")
    other = south.judged("Who else?", PRIVATE, contributor="api:1:eve@example.org", origin="api")
    sent(south, central, tmp_path)
    whole = (tmp_path / "queue.jsonl").read_text()
    assert "jo.doe" not in whole and "1234567" not in whole and "eve@" not in whole
    assert central.row(1).correction == "Write to [e-mail]."
    assert central.row(2).contributor.startswith("south/hash:")
    central.yes(1)
    central("feedback", "reject", 2)
    file = tmp_path / "verdicts.jsonl"
    central("feedback", "export", "--format", "verdicts", "--site", "south", "--to", file)
    done = south.rows("feedback", "verdicts", file)[-1]
    assert (done["left"], done["rejected"]) == (1, 1)
    assert "private values masked" in south.said
    assert south.row(given.id).status == "new" and south.answers() == []
    assert south.row(other.id).status == "rejected"


def test_what_was_decided_here_stays(south, central, tmp_path):
    given = south.judged("How long?", "45 days.")
    sent(south, central, tmp_path)
    central.yes(1)
    with south.db() as db:
        reject(db, given.id, reviewer="user:1")
    assert back(south, central, tmp_path)["decided_here"] == 1
    assert south.row(given.id).reviewer == "user:1"


def test_what_teaches_nothing_and_what_came_from_elsewhere_does_not_leave(south, central, tmp_path):
    south.judged("Cut?", None, finish="interrupted", rating=-1)
    south.judged("Mine?", "Yes.")
    assert sent(south, central, tmp_path)["imported"] == 1
    assert "1 rows stay here" in south.said
    file = tmp_path / "on.jsonl"
    central("feedback", "export", "--format", "queue", "--site", "middle", "--to", file)
    assert file.read_text() == ""


def test_an_import_with_approve_is_a_first_yes(south, central, tmp_path, monkeypatch):
    south.judged("How long?", "45 days.")
    with central.db() as db:
        set_workspace(db, "default", "two_reviewers", "true")
    file = tmp_path / "queue.jsonl"
    south("feedback", "export", "--format", "queue", "--site", "south", "--to", file)
    monkeypatch.setenv("LOGNAME", "ann")
    for _ in range(2):
        assert central.rows("feedback", "import", file, "--approve")[-1]["approved"] == 0
        assert "wait for a second reviewer" in central.said
    monkeypatch.setenv("LOGNAME", "ben")
    assert central.rows("feedback", "import", file, "--approve")[-1]["approved"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("x", "from_site is no object"),
        ({"name": "South"}, "cannot name a site"),
        ({"origin": "house"}, "an origin or a status that a queue does not have"),
        ({"status": "approved"}, "an origin or a status that a queue does not have"),
        ({"id": " "}, "its id is empty"),
    ],
)
def test_rows_that_no_site_writes_are_refused(central, tmp_path, change, said):
    known = {"name": "south", "id": "1-a", "origin": "widget", "status": "new"}
    change = {**known, **change} if isinstance(change, dict) else change
    row = {"question": "q", "correction": "a", "from_site": change}
    central("feedback", "import", write_rows(tmp_path / "f.jsonl", row), code=2)
    assert said in refusal(central)


def test_verdicts_that_are_none_are_refused_and_unknown_ones_named(south, tmp_path):
    good = {"id": "9-a", "status": "approved", "judged": "x", "reviewers": ["ann"]}
    for change, said in (
        ({"status": "new"}, "neither approved nor rejected"),
        ({"reviewers": []}, "no list of names"),
        ({"reviewers": [1]}, "no list of names"),
        ({"judged": None}, "its judged is empty"),
    ):
        file = write_rows(tmp_path / "f.jsonl", good, {**good, **change})
        south("feedback", "verdicts", file, code=2)
        assert said in refusal(south)
    file = write_rows(tmp_path / "f.jsonl", good, {**good, "id": "²-a"})
    assert south.rows("feedback", "verdicts", file)[-1]["left"] == 2
    assert "is no feedback of this workspace" in south.said


def test_the_site_is_named_for_these_formats_alone(south):
    for words in (["--format", "queue"], ["--site", "south"]):
        south("feedback", "export", *words, code=2)
        assert "--site NAME belongs to" in refusal(south)
    south.judged("How long?", "45 days.")
    out = south("feedback", "export", "--format", "queue", "--site", "south")
    assert json.loads(out)["from_site"]["id"].startswith("1-")
    with south.db() as db:
        assert feedback_by_key(db, 1, "site:south:1") is None
