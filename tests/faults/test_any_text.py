"""Whatever somebody types comes out everywhere as it was typed, but for what cannot be stored."""

import html
import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.commands import feedback as commands
from storage.conversations import messages_of
from storage.feedback import approve, feedback, reject
from storage.text import clean
from storage.workspaces import set_workspace, workspace
from tests.faults.besieged import VISITOR, Fort, fort

BAR = "B19"
ODD = [
    *("\u202egnirts", "a\u200db", "\ufeffx", "e\u0301", "\u00e9", "=1+1", "@SUM(A1)", "\r\nx: y"),
    *("\ud800", "a\udc80b", "\ud83d\ude00", "👩‍👩‍👧‍👦", "\0a\0b", "\x1b[31m", "$x$", "&lt;", "<b>"),
    *("```\n", "|||", "{{7*7}}", "%s%n", "<|im_end|>", "\U0010ffff", "\u2028", "\x85", "a" * 300),
]
TEXTS = st.sampled_from(ODD) | st.text(st.characters(codec=None), min_size=1, max_size=60)


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("text"), tiny_base.folder) as made:
        with closing(made.app.db()) as db:
            for name in ("site", "team"):
                set_workspace(db, name, "max_tokens", "1")
        yield made


def wanted(text: str) -> str:
    """The documented change: halves of characters, NUL, and space around it."""
    return clean(text).strip()


def trip(house: Fort, text: str) -> list[str]:
    """Where the text is not what it should be."""
    path, visitor = f"/embed/{house.keys['embed']}", {"x-apprentice-visitor": VISITOR}
    body = json.dumps({"question": text})
    asked = house.send("POST", f"{path}/ask", {}, content=body, headers=visitor)
    events = [json.loads(line[6:]) for line in asked.text.split("\n") if line[:6] == "data: "]
    if not wanted(text):
        return [] if events[-1]["type"] == "error" else ["an empty question was answered"]
    if events[-1]["type"] != "done":
        return [f"asked: {asked.text[-200:]}"]
    found = events[0]["conversation"]
    with closing(house.app.db()) as db:
        stored, reply = messages_of(db, found)
    shown = house.send("GET", f"{path}/history?conversation={found}", {}, headers=visitor).json()
    wrong = [] if stored.content == wanted(text) else [f"stored {stored.content!r}"]
    if shown["messages"][0]["text"] != stored.content:
        wrong.append(f"shown {shown['messages'][0]['text']!r}")
    return wrong + corrected(house, path, reply.id, text)


def corrected(house: Fort, path: str, reply: str, text: str) -> list[str]:
    """The same text as a correction: to the reviewer, and into the training rows."""
    body = json.dumps({"message": reply, "correction": f"Say {text}!", "comment": text})
    given = house.send(
        "POST", f"{path}/feedback", {}, content=body, headers={"x-apprentice-visitor": VISITOR}
    )
    if given.status_code != 200:
        return [f"corrected: {given.status_code} {given.text[:200]}"]
    wish, number = wanted(f"Say {text}!"), given.json()["saved"]
    with closing(house.app.db()) as db:
        item = approve(db, number, reviewer="user:1")
        kept = feedback(db, number)
    wrong = [] if kept.correction == wish else [f"kept {kept.correction!r}"]
    rows = [*commands.export(house.app, workspace="site", format="prompt-completion", to=None)]
    chosen = [row["completion"][-1]["content"] for row in rows if "completion" in row]
    if item.approved_correction not in (None, wish) or wish not in chosen:
        wrong.append(f"exported {chosen[-1:]!r}")
    if json.loads(json.dumps(rows)) != rows:
        wrong.append("the rows do not survive a file")
    wrong += reviewed(house, number, wish)
    with closing(house.app.db()) as db:  # else the five thousandth export has all before it
        reject(db, number, reviewer="user:1")
    return wrong


def reviewed(house: Fort, number: int, wish: str) -> list[str]:
    """The admin page of the row names it, as text and not as HTML."""
    page, ada = house.page("/admin"), house.people["ada"].cookies
    with closing(house.app.db()) as db:
        site = workspace(db, "site").id
    load = next(index for index, fn in page.fns.items() if fn.fn.__name__ == "load")
    opened = next(
        index
        for index, fn in page.fns.items()
        if any(page.blocks[of].elem_id == "rows" and event == "input" for of, event in fn.targets)
    )
    nothing = [None] * (len(page.fns[opened].inputs) - 2)
    house.event("/admin", load, [], ada, session="text", query="?workspace=site")
    said = house.event("/admin", opened, [site, "approved", *nothing], ada, session="text")
    text = html.unescape(json.dumps(said, ensure_ascii=False))
    return (
        [] if said["success"] and "<script>alert" not in text else [f"reviewed {str(said)[:200]}"]
    )


def run(house: Fort, count: int) -> tuple[int, list]:
    trials, failures = 0, []

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=count < 1000,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(TEXTS)
    def attack(text):
        nonlocal trials
        trials += 1
        failures.extend((text, one) for one in trip(house, text))

    attack()
    return trials, failures


def test_text_comes_out_as_it_went_in(besieged, record_property):
    told(record_property, *run(besieged, 25))


@pytest.mark.slow
def test_text_comes_out_as_it_went_in_for_long(besieged, record_property):
    told(record_property, *run(besieged, 5000))


def told(record, trials, failures):
    record("bar", BAR)
    record("trials", trials)
    record("failures", len(failures))
    assert not failures, failures[:5]
    assert trials > 10
