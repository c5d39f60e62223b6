"""The index of passages lost or damaged: made again from the database, as it was (bar B14).

And what was deleted is in no reply (bar B15)."""

import os
import shutil
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from assistant.refilling import fill_index, refill_lost
from assistant.reply import Done, ReplyOptions, reply
from assistant.retrieval import REBUILDING, look_up
from knowledge.ingest import ingest, remove
from knowledge.search import search
from storage.conversations import start_conversation
from storage.documents import list_documents
from storage.workspaces import set_workspace

THINGS = ("crane", "ferry", "kiln", "loom", "organ", "press", "still", "turbine", "winch", "well")
PLACES = ("Aachen", "Bergen", "Cork", "Delft", "Essen", "Faro", "Ghent")


def shop(app, workspace, folder: Path, documents: int, sentences: int = 1):
    """The workspace with so many documents about things in places."""
    folder.mkdir()
    for number in range(documents):
        thing, place = THINGS[number % len(THINGS)], PLACES[number % len(PLACES)]
        facts = [
            f"The {thing} number {number} of {place} lifts {part} tonnes a day. " * 8 + "\n\n"
            for part in range(sentences)
        ]
        (folder / f"{number}.md").write_text(f"# {thing} {number} in {place}\n\n" + "".join(facts))
    with closing(app.db()) as db:
        events = list(ingest(db, app.datadir, app.index, app.embedder, workspace.id, [folder]))
        assert {event.status for event in events} == {"added"}
        return set_workspace(db, workspace.name, "relevance_floor", "0")


def found(app, workspace):
    """What is found for each question: ids and scores."""
    asked = [f"What does the {thing} in {place} lift?" for thing in THINGS for place in PLACES[:2]]
    with closing(app.db()) as db:
        parts = (db, app.index, app.lexical, app.embedder, workspace.id)
        hits = {question: search(*parts, question, top_k=5) for question in asked}
    return {
        question: [(hit.chunk_id, round(hit.score, 6)) for hit in several]
        for question, several in hits.items()
    }


def answered(app, workspace):
    """The notices and passages of a reply."""
    with closing(app.db()) as db:
        talk = start_conversation(db, workspace.id, "cli").id
    options = ReplyOptions(max_tokens=1)
    *_, done = reply(
        app, workspace, talk, "cli", "What does the kiln in Cork lift?", options=options
    )
    assert isinstance(done, Done)
    return done.notices, done.passages


def begin_anew(app):
    """The app's index opened anew, as after a restart."""
    app._parts.pop("index").close()


def halve(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


DAMAGE = {"deleted": Path.unlink, "halved": halve, "emptied": lambda file: os.truncate(file, 0)}


@pytest.mark.parametrize("size", [(40, 1), pytest.param((60, 20), marks=pytest.mark.slow)])
def test_whatever_is_lost_of_it_what_is_found_is_the_same(app, workspace, tmp_path, tried, size):
    """Each file in turn, and the whole folder; with 1,200 chunks there are files of vectors too."""
    workspace = shop(app, workspace, tmp_path / "shop", *size)
    before, chroma = found(app, workspace), app.datadir.chroma
    begin_anew(app)
    sound = shutil.copytree(chroma, tmp_path / "sound")
    files = [path.relative_to(sound) for path in sound.rglob("*") if path.is_file()]
    for name in [None, *files]:
        for how, damage in DAMAGE.items() if name else [("deleted", None)]:
            tried("B14")
            shutil.rmtree(chroma)
            if name:
                shutil.copytree(sound, chroma)
                damage(chroma / name)
            fill_index(app)
            assert found(app, workspace) == before, (name, how)
            begin_anew(app)


def test_lost_while_it_serves_it_says_so_and_is_made_again(app, workspace, tmp_path, tried):
    workspace = shop(app, workspace, tmp_path / "shop", 40)
    before, whole = found(app, workspace), answered(app, workspace)
    assert REBUILDING not in whole[0]
    for damage in (shutil.rmtree, lambda chroma: halve(chroma / "chroma.sqlite3")):
        tried("B14")
        damage(app.datadir.chroma)
        notices, passages = answered(app, workspace)
        assert notices[0] == REBUILDING and passages
        refill_lost(app)
        refill_lost(app)  # the server looks every five seconds
        deadline = time.monotonic() + 60
        while REBUILDING in answered(app, workspace)[0]:
            assert time.monotonic() < deadline
        assert not app.index.rebuilt
        assert found(app, workspace) == before and answered(app, workspace) == whole


def test_an_index_that_was_emptied_before_the_start_is_said_too(app, workspace, tmp_path):
    """Before anything is filled, as when somebody asks a server that is just up."""
    workspace = shop(app, workspace, tmp_path / "shop", 10)
    begin_anew(app)
    shutil.rmtree(app.datadir.chroma)
    assert answered(app, workspace)[0][0] == REBUILDING
    fill_index(app)
    assert REBUILDING not in answered(app, workspace)[0]


@pytest.mark.parametrize("documents", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_what_was_deleted_is_found_by_nobody_who_asks_afterwards(
    app, workspace, tmp_path, tried, documents
):
    workspace = shop(app, workspace, tmp_path / "shop", documents)
    removed: list[str] = []
    wrong: list[str] = []
    seen: set[str] = set()

    def ask(turn):
        while len(removed) < documents:
            gone = {*removed}
            question = (
                f"What does the {THINGS[turn % 10]} number {turn} in {PLACES[turn % 7]} lift?"
            )
            with closing(app.db()) as db:
                shown = look_up(app, db, workspace, question)
            names = {one.document for one in (*shown.passages, *shown.nearest)}
            wrong.extend(names & gone)
            seen.update(names)
            turn += 8

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    with closing(app.db()) as db:
        for document in list_documents(db, workspace.id):
            remove(db, app.datadir, app.index, workspace.id, document.name)
            removed.append(document.name)
            tried("B15")
    for thread in threads:
        thread.join()
    assert wrong == [] and seen
    assert all(not hits for hits in found(app, workspace).values())
    assert all(app.index.hashes(name) == {} for name in app.index.collections())
