"""The log of a job: what is ours, what is not, and connections that break."""

import base64
import json
from types import SimpleNamespace

import pytest

from tuning.child import MemoryRanOut, RoundCancelled, RoundFailed
from tuning.runners import ray_log
from tuning.runners.ray_log import Listener, Lost, followed
from tuning.runners.returned import RESULT


@pytest.fixture
def listener(tmp_path):
    said = []
    (tmp_path / "came").mkdir()
    made = Listener(tmp_path / "train.log", tmp_path / "came", said.append)
    made.said, made.log = said, tmp_path / "train.log"
    return made


def line(said):
    return json.dumps({"apprentice": said})


def piece(at, of, data, file=RESULT):
    return line({"file": file, "at": at, "of": of, "data": base64.b64encode(data).decode()})


class Cluster:
    """Answers as Ray's client does; each reading of the log is the next of `logs`."""

    def __init__(self, *logs, statuses=("SUCCEEDED",)):
        self._logs, self._statuses = list(logs), list(statuses)

    def get_address(self):
        return "http://head:8265"

    async def tail_job_logs(self, job):
        for one in self._logs.pop(0) if len(self._logs) > 1 else self._logs[0]:
            if isinstance(one, Exception):
                raise one
            yield one

    def get_job_info(self, job):
        now = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        if isinstance(now, Exception):
            raise now
        return SimpleNamespace(status=now, message="", submission_id=job)


def follow(cluster, listener, cancelled=lambda: False):
    return followed(cluster, "j", listener=listener, cancelled=cancelled)


def test_what_is_said_goes_to_the_round_and_the_rest_to_the_log(listener):
    for one in ("Running entrypoint", "[1, 2]", '{"apprentice": 3}', line({"step": 1})):
        listener.hear(one)
    listener.hear(line({"result": {"best": 1}}))
    assert listener.said == [{"step": 1}] and listener.result == {"best": 1}
    assert listener.log.read_text().splitlines() == [
        "Running entrypoint",
        "[1, 2]",
        '{"apprentice": 3}',
    ]


def test_a_file_comes_together_and_one_with_another_name_does_not(listener, tmp_path):
    listener.hear(piece(0, 2, b"ab"))
    assert listener.file(RESULT) is None
    listener.hear(piece(1, 2, b"cd"))
    assert listener.file(RESULT).read_bytes() == b"abcd"
    listener.hear(piece(0, 1, b"x", file="../train.log"))
    listener.hear(line({"file": RESULT, "at": "none", "of": 1, "data": "%"}))
    assert not listener.log.exists()
    assert [path.name for path in (tmp_path / "came").iterdir()] == [RESULT]


@pytest.mark.parametrize(("memory", "kind"), [(False, RoundFailed), (True, MemoryRanOut)])
def test_a_failure_is_the_sentence_that_was_said(listener, memory, kind):
    listener.hear(line({"error": "It broke.", "memory": memory, "log": "last words"}))
    with pytest.raises(kind, match="It broke"):
        listener.raise_unless_done(SimpleNamespace(status="FAILED"))
    assert listener.log.read_text() == "last words\n"


def test_a_job_that_died_without_a_word_is_told_by_its_end(listener):
    info = SimpleNamespace(status="FAILED", message="the head\nwas full", submission_id="j")
    with pytest.raises(RoundFailed, match=r"job j ended as FAILED \(the head was full\)"):
        listener.raise_unless_done(info)


def test_lines_that_come_in_pieces_are_heard_whole_and_once(listener, monkeypatch):
    """The connection breaks amid the log; read again from its start, nothing is said twice."""
    monkeypatch.setattr(ray_log, "AGAIN_SECONDS", 0.01)
    text = "".join(line({"step": step}) + "\n" for step in (1, 2, 3)) + line({"over": True})
    cluster = Cluster([text[:40], RuntimeError("closed")], [text[:70], text[70:]])
    info = follow(cluster, listener)
    assert info.status == "SUCCEEDED" and listener.over
    assert [one["step"] for one in listener.said] == [1, 2, 3]


def test_an_end_that_was_not_read_is_read_once_more(listener, monkeypatch):
    monkeypatch.setattr(ray_log, "AGAIN_SECONDS", 0.01)
    begun = line({"step": 1}) + "\n"
    follow(Cluster([begun], [begun + line({"over": True}) + "\n"]), listener)
    assert listener.over and listener.said == [{"step": 1}]


def test_a_cluster_that_is_silent_for_too_long_is_lost(listener, monkeypatch):
    monkeypatch.setattr(ray_log, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(ray_log, "LOST_SECONDS", 0.1)
    with pytest.raises(Lost, match="does not answer .refused.. The job j may go on there"):
        follow(Cluster([ConnectionError("refused")]), listener)


def test_a_job_that_nobody_knows_is_a_failure_at_once(listener):
    gone = RuntimeError("Request failed with status code 404: Job j does not exist.")
    with pytest.raises(RoundFailed, match="does not know the job j"):
        follow(Cluster([], statuses=[gone]), listener)


def test_a_cancel_is_seen_while_nothing_is_said(listener):
    with pytest.raises(RoundCancelled):
        follow(Cluster([]), listener, cancelled=lambda: True)
