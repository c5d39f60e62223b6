"""Words that belong to one workspace, looked for wherever another one, or nobody, can read."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from assistant.app import App, open_app
from assistant.commands.documents import ingest, search
from assistant.logs import set_up_logs
from assistant.reply import Done, ReplyOptions, reply
from assistant.retrieval import examples_for, retrieve
from assistant.settings import read_settings
from assistant.web import build_server
from storage.conversations import start_conversation
from storage.database import rows
from storage.feedback import add_feedback, approve
from storage.keys import create_key
from storage.records import Workspace
from storage.workspaces import create_workspace, set_workspace
from tests.serving import on_a_port

BAR = "B27"
SUBJECTS = ("kettle", "ladder", "violin", "harbour", "lantern", "orchard", "saddle", "teapot")


def canary(tenant: int, number: int) -> str:
    """A word that nothing else holds."""
    return f"zq{tenant:02d}x{number:03d}vw"


def question(number: int) -> str:
    """The same in every workspace: the nearest there is, elsewhere."""
    return f"What is the code of the {SUBJECTS[number % len(SUBJECTS)]} number {number}?"


class Tenants:
    """Workspaces whose documents and corrections answer the same questions, each in its way."""

    def __init__(self, app: App, folder, count: int, canaries: int) -> None:
        self.app, self.canaries = app, canaries
        self.workspaces: list[Workspace] = []
        with closing(app.db()) as db:
            for tenant in range(count):
                made = create_workspace(db, f"tenant{tenant}", access="members")
                set_workspace(db, made.name, "max_tokens", "4")
                self.workspaces.append(made)
        for tenant, made in enumerate(self.workspaces):
            files = folder / made.name
            files.mkdir()
            for number in range(0, canaries, 2):
                subject = SUBJECTS[number % len(SUBJECTS)]
                said = f"The code of the {subject} number {number} is {canary(tenant, number)}."
                (files / f"{canary(tenant, number)}.md").write_text(f"# Codes\n\n{said}\n")
            [*ingest(app, workspace=made.name, paths=[str(files)])]
            self._correct(made, tenant)

    def _correct(self, where: Workspace, tenant: int) -> None:
        """Some answers were corrected, so that they are served or shown as examples."""
        for number in range(1, self.canaries, 8):
            done = self.ask(where, question(number), f"user:{tenant}")
            with closing(self.app.db()) as db:
                given = add_feedback(
                    db,
                    message_id=done.message.id,
                    origin="staff",
                    contributor=f"user:{tenant}",
                    correction=f"It is {canary(tenant, number)}.",
                )
                approve(db, given.id, reviewer="user:1")

    def ask(self, where: Workspace, asked: str, owner: str) -> Done:
        with closing(self.app.db()) as db:
            talk = start_conversation(db, where.id, owner)
        events = reply(self.app, where, talk.id, owner, asked, options=ReplyOptions())
        return [event for event in events if isinstance(event, Done)][-1]

    def foreign(self, tenant: int, text: str) -> bool:
        """Whether a canary of another tenant is in the text."""
        others = set(range(len(self.workspaces))) - {tenant}
        return any(f"zq{other:02d}x" in text for other in others)


@pytest.fixture
def tenants(request, tmp_path, tiny_base) -> Iterator[Tenants]:
    settings = read_settings(
        data=tmp_path / "data", base_model=str(tiny_base.folder), threads=1, context=512, log="json"
    )
    log = io.StringIO()
    root, own = logging.getLogger(), logging.getLogger("assistant")
    before = root.handlers[:], root.level, own.level
    with open_app(settings) as app:
        set_up_logs(settings, log)
        try:
            made = Tenants(app, tmp_path, *request.param)
            made.log = log
            yield made
        finally:
            root.handlers[:] = before[0]
            root.setLevel(before[1])
            own.setLevel(before[2])


FORMS = [
    pytest.param((3, 10), 12, id="short"),
    pytest.param((20, 50), 200, id="long", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("tenants, asked", FORMS, indirect=["tenants"])
def test_nothing_of_one_workspace_reaches_another(tenants, asked, record_property):
    trials, leaks, own = 0, [], 0
    for tenant, where in enumerate(tenants.workspaces):
        for number in range(asked):
            other = (tenant + 1 + number) % len(tenants.workspaces)
            wild = canary(other, number % tenants.canaries)
            for text in (question(number % tenants.canaries), f"What is {wild}?"):
                found = everything(tenants, where, text)
                own += f"zq{tenant:02d}x" in found
                trials += 1
                # what was asked is one's own word
                if tenants.foreign(tenant, found.replace(wild, "")):
                    leaks.append((where.name, text))
    leaks += outside(tenants)
    record_property("bar", BAR)
    record_property("trials", trials)
    record_property("failures", len(leaks))
    assert not leaks, leaks[:3]
    assert own > trials / 4, "its own words are found, or nothing was looked for"


def everything(tenants: Tenants, where: Workspace, text: str) -> str:
    """What is looked up, shown to the model, said, and cited for a question."""
    app = tenants.app
    with closing(app.db()) as db:
        found = [repr(retrieve(app, db, where, text)), repr(examples_for(app, db, where, text))]
    found += [json.dumps(one) for one in search(app, workspace=where.name, query=text, top_k=10)]
    done = tenants.ask(where, text, f"user:{where.id}")
    found += [repr(done.message.inputs), done.message.content, repr(done.notices)]
    found.append(app.tokenizer.decode(list(done.message.sent_ids)))
    return "\n".join(found)


def outside(tenants: Tenants) -> list[str]:
    """Canaries in the log, the metrics, the health page and what a key of one workspace lists."""
    app, found = tenants.app, []
    with closing(app.db()) as db:
        _, figures = create_key(
            db, "f", workspace_id=None, scopes=["metrics"], actor="x", per_minute=999
        )
        _, one = create_key(db, "o", workspace_id=tenants.workspaces[0].id, actor="x")
        assert rows(db, "select count(*) as n from messages")[0]["n"] > 0
    with on_a_port(build_server(app)) as url:
        for path, key in (("/metrics", figures), ("/v1/models", one), ("/healthz", "")):
            sent = {"authorization": f"Bearer {key}"} if key else {}
            said = httpx.get(f"{url}{path}", headers=sent)
            found += [path] * ("zq" in said.text or "tenant1" in said.text and path != "/metrics")
    logged = tenants.log.getvalue()
    assert logged
    return found + ["log"] * ("zq" in logged)
