"""Judgements that programs send."""

from contextlib import closing

import httpx
import pytest

from storage.feedback import list_feedback
from storage.workspaces import workspace

QUESTION = [{"role": "user", "content": "How long may goods be returned?"}]


@pytest.fixture(scope="module")
def answered(service):
    """An answer to judge, in `default`."""
    return service.client().chat.completions.create(
        model="default", messages=QUESTION, max_tokens=4
    )


def send(service, key="all", headers=None, **given):
    sent = {"Authorization": f"Bearer {service.keys[key]}", **(headers or {})}
    return httpx.post(f"{service.url}/v1/feedback", json=given, headers=sent)


def waiting(service):
    with closing(service.app.db()) as db:
        return list_feedback(db, workspace(db, "default").id)


def test_a_correction_waits_in_the_queue_like_any_other(service, answered):
    given = {"correction": "30 days.", "rating": -1, "reasons": ["wrong"], "comment": "See §4."}
    answer = send(service, message_id=answered.id, user="kim", **given)
    assert answer.status_code == 200
    kept = waiting(service)[0]
    assert answer.json() == {
        "id": kept.id,
        "object": "feedback",
        "message_id": answered.id,
        "status": "new",
    }
    assert (kept.correction, kept.rating, kept.reasons) == ("30 days.", -1, ("wrong",))
    assert (kept.origin, kept.question) == ("api", QUESTION[0]["content"])
    assert kept.contributor.startswith("api:") and kept.contributor.endswith(":kim")


def test_the_same_key_is_the_same_feedback(service, answered):
    given = {"message_id": answered.id, "rating": 1}
    first = send(service, **given, idempotency_key="k")
    again = send(service, **given, headers={"Idempotency-Key": "k"})
    assert first.json() == again.json()
    before = waiting(service)
    for other in ({"rating": -1}, {"comment": "x"}, {"correction": "x"}, {"user": "lee"}):
        answer = send(service, **{**given, **other}, idempotency_key="k")
        assert (answer.status_code, "was used for other" in answer.text) == (409, True)
    assert waiting(service) == before
    two = send(service, **given, idempotency_key="k", headers={"Idempotency-Key": "l"})
    assert two.status_code == 400
    # another client's keys are its own
    assert send(service, "feedback", **given, idempotency_key="k").json() != first.json()


def test_what_is_not_the_keys_is_not_there(service, answered):
    before = waiting(service)
    said = {}
    for name, key in {answered.id: "team", "chatcmpl-" + "0" * 32: "all", "": "all"}.items():
        answer = send(service, key, message_id=name, rating=1)
        assert answer.status_code == 404
        said[key] = answer.json()["error"]["message"].replace(name, "")
    assert len(set(said.values())) == 1
    assert send(service, "chat", message_id=answered.id, rating=1).status_code == 403
    assert waiting(service) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"rating": 5},
        {"rating": "up"},
        {"correction": " "},
        {"reasons": "wrong"},
        {"rating": 1, "corection": "x"},
        {"comment": "x" * 200_000},
    ],
)
def test_feedback_that_says_nothing_or_too_much_is_refused(service, answered, wrong):
    before = waiting(service)
    answer = send(service, message_id=answered.id, **wrong)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]
    assert waiting(service) == before


def test_a_question_cannot_be_judged(service, answered):
    with closing(service.app.db()) as db:
        [asked] = db.conn.execute(
            "select parent_id from messages where id = ?", [answered.id.removeprefix("chatcmpl-")]
        ).fetchone()
    assert send(service, message_id=asked, rating=1).status_code == 400
