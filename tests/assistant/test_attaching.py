"""A file given in a conversation: taken in, asked about, and met by nobody else."""

from contextlib import closing

import pytest

from assistant.attaching import ATTACHMENT_BYTES, Unfit, attach, shown_name
from assistant.erasure import erase
from assistant.reply import ReplyOptions, reply
from assistant.retrieval import look_up
from assistant.review import Reviews
from knowledge.attached import MOST_CHARACTERS
from storage.attachments import attached_chunks, attachments_of
from storage.conversations import list_conversations, start_conversation
from storage.database import rows
from storage.errors import BadInput, Refused
from storage.feedback import add_feedback, approve
from storage.workspaces import create_workspace, set_workspace
from tests.assistant.command_line import run_verb
from tests.knowledge.files import write_pdf

LEASE = "# Lease\n\nThe notice period of the flat in Heron Street is eleven weeks.\n"
QUESTION = "What is the notice period in Heron Street?"


@pytest.fixture
def lease(tmp_path):
    path = tmp_path / "lease.md"
    path.write_text(LEASE)
    return path


def give(app, workspace, path, conversation=None, name=None):
    return attach(app, workspace, "cli", conversation, path, name or path.name)


def teach(app, workspace, answers):
    """Approve an answer to each question."""
    for question, answer in answers.items():
        with closing(app.db()) as db:
            talk = start_conversation(db, workspace.id, "cli").id
            done = ask(app, workspace, talk, question)
            said = add_feedback(
                db,
                message_id=done.message.id,
                origin="staff",
                contributor="user:1",
                correction=answer,
            )
            approve(db, said.id, reviewer="user:1")


def ask(app, workspace, conversation, question=QUESTION):
    options = ReplyOptions(max_tokens=4)
    *_, done = reply(app, workspace, conversation, "cli", question, options=options)
    return done


def test_a_reply_rests_on_the_file_and_nobody_elses_does(app, workspace, lease, db):
    set_workspace(db, "default", "decline", "We do not know.")
    workspace = set_workspace(db, "default", "relevance_floor", "0.3")
    conversation = give(app, workspace, lease).conversation_id
    done = ask(app, workspace, conversation)
    assert [one.document for one in done.passages] == ["lease.md"]
    assert "eleven weeks" in done.passages[0].text and done.passages[0].relevance > 0.5
    assert not done.message.declined
    # elsewhere: another conversation of the same person, another workspace, the search itself
    other = start_conversation(db, workspace.id, "cli").id
    create_workspace(db, "other")
    else_where = set_workspace(db, "other", "max_tokens", "4")
    far = start_conversation(db, else_where.id, "cli").id
    for space, one in ((workspace, other), (else_where, far)):
        assert "eleven" not in str(ask(app, space, one).message.inputs)
    assert look_up(app, db, workspace, QUESTION).nearest == ()
    assert rows(db, "select * from chunks") == rows(db, "select * from documents") == []


def test_the_file_goes_before_an_approved_answer_only_where_it_is_about_the_question(
    app, workspace, lease, db
):
    workspace = set_workspace(db, "default", "relevance_floor", "0.5")
    teach(app, workspace, {QUESTION: "Four weeks.", "Do you sell boats?": "Yes, boats."})
    conversation = give(app, workspace, lease).conversation_id
    assert ask(app, workspace, conversation).override is None
    conversation = give(app, workspace, lease).conversation_id
    assert ask(app, workspace, conversation, "Do you sell boats?").message.content == "Yes, boats."
    assert ask(app, workspace, start_conversation(db, workspace.id, "cli").id).override


def test_of_a_long_file_what_is_relevant_is_shown_else_how_it_begins(app, tmp_path, db):
    set_workspace(db, "default", "attachment_tokens", "150")
    workspace = set_workspace(db, "default", "relevance_floor", "0.5")
    parts = [f"# Part {n}\n\nParagraph {n} is about gardens and trees." for n in range(40)]
    parts[30] += " The notice period of the flat in Heron Street is eleven weeks."
    (tmp_path / "long.md").write_text("\n\n".join(parts))
    conversation = give(app, workspace, tmp_path / "long.md").conversation_id
    shown = ask(app, workspace, conversation).passages
    assert "eleven weeks" in shown[0].text and len(shown) < 5
    shown = ask(app, workspace, conversation, "Which language is spoken in Brazil?").passages
    assert [one.text for one in shown][0].startswith("Part 0")


def test_feedback_on_it_is_kept_and_never_approved(app, workspace, lease, db):
    conversation = give(app, workspace, lease).conversation_id
    done = ask(app, workspace, conversation)
    said = add_feedback(
        db,
        message_id=done.message.id,
        origin="staff",
        contributor="user:1",
        correction="Eleven weeks.",
    )
    reviews = Reviews(app, db, workspace)
    assert "nothing is learned" in reviews.look(said).never
    with pytest.raises(Refused, match="nothing is learned"):
        reviews.approve(said, reviewer="user:2")
    assert rows(db, "select * from overrides") == []


def test_erasing_the_conversation_takes_the_file_along(app, workspace, lease, db):
    conversation = give(app, workspace, lease).conversation_id
    ask(app, workspace, conversation)
    erase(app, "conversation", conversation, actor="cli:me")
    for table in ("conversations", "attachments", "attachment_chunks"):
        assert rows(db, f"select * from {table}") == []


def test_what_another_has_in_a_file_is_not_rewritten(app, workspace, lease, db):
    text = LEASE.splitlines()[-1]
    kept = give(app, workspace, lease).conversation_id
    gone = start_conversation(db, workspace.id, "user:9").id
    *_, _ = reply(app, workspace, gone, "user:9", text, options=ReplyOptions(max_tokens=2))
    erase(app, "contributor", "user:9", actor="cli:me")
    assert text in attached_chunks(db, kept)[0].text


def test_each_refusal_is_one_sentence_and_leaves_nothing(app, workspace, tmp_path, db):
    big = tmp_path / "big.txt"
    with big.open("wb") as file:
        file.truncate(ATTACHMENT_BYTES + 1)  # sparse: no such space is taken
    write_pdf(tmp_path / "scan.pdf", [[]])
    files = {
        "photo.png": (b"\x89PNG", "attach a PDF"),
        "none.md": (b"", "is empty"),
        "blank.txt": (b" \n", "holds no text"),
        "scan.pdf": (None, "holds no text"),
        "broken.pdf": (b"%PDF", "may be damaged"),
        "binary.txt": (bytes(range(256)), "may be damaged"),
        "long.txt": (b"word " * (MOST_CHARACTERS // 5 + 1), "is too long"),
        "big.txt": (None, "20 MB"),
    }
    for name, (data, said) in files.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(Unfit, match=said) as refused:
            give(app, workspace, tmp_path / name)
        assert name in str(refused.value) and str(refused.value).count("\n") == 0
    with pytest.raises(BadInput, match="no file"):
        give(app, workspace, tmp_path / "missing.md")
    off = set_workspace(db, "default", "attachment_tokens", "0")
    (tmp_path / "a.md").write_text("A")
    with pytest.raises(Unfit, match="where an admin allows it"):
        give(app, off, tmp_path / "a.md")
    assert list_conversations(db, workspace.id, "cli") == []


def test_a_sixth_file_is_refused(app, workspace, lease, db):
    conversation = None
    for number in range(5):
        conversation = give(app, workspace, lease, conversation, f"{number}.md").conversation_id
    with pytest.raises(Unfit, match="5 files"):
        give(app, workspace, lease, conversation)
    assert len(attachments_of(db, conversation)) == 5


@pytest.mark.parametrize(
    "given, shown",
    [
        ("../../etc/pass wd.txt", "pass wd.txt"),
        ("C:\\Users\\me\\a.pdf", "a.pdf"),
        ("a\u202egpj.\x00exe\n.md", "a gpj.exe .md"),
        ("🦉👩\u200d👩.md", "🦉👩\u200d👩.md"),
        ("x" * 300 + ".docx", "x" * 74 + "….docx"),
        ("", "?"),
    ],
)
def test_a_name_is_one_short_line(given, shown):
    assert shown_name(given) == shown


def test_on_the_command_line(app, workspace, lease, tmp_path, db):
    (tmp_path / "b.csv").write_text("what,where\nowl,bridge\n")
    (answer,), _ = run_verb(
        app,
        "ask",
        workspace="default",
        question=QUESTION,
        attach=[str(lease), str(tmp_path / "b.csv")],
        max_tokens=4,
    )
    names = {one["document"] for one in answer["sources"]}
    assert names == {"lease.md", "b.csv"}
    (kept,) = list_conversations(db, workspace.id, "cli")
    assert len(attachments_of(db, kept.id)) == 2
