"""Long work as typed: what goes on, and stopping it."""

from storage.database import open_database
from storage.jobs import create_job, finish_job, list_jobs
from tests.assistant.command_line import refusal


def test_jobs_are_listed_and_asked_to_stop(apprentice):
    apprentice("workspaces", "list")  # makes the data directory
    with open_database(apprentice.data / "apprentice.db") as db:
        for kind in ("website", "rebase"):
            create_job(db, kind, None)
    assert [row["kind"] for row in apprentice.rows("jobs", "list", "--limit", "1")] == ["rebase"]
    for row in apprentice.rows("jobs", "list"):
        apprentice("jobs", "cancel", str(row["job"]))
    with open_database(apprentice.data / "apprentice.db") as db:
        assert all(one.cancel_requested for one in list_jobs(db))
    acts = apprentice.rows("audit", "list", "--action", "job cancelled")
    assert [act["subject"] for act in acts] == ["job:1", "job:2"]


def test_what_has_ended_or_never_was_is_said(apprentice):
    apprentice("workspaces", "list")
    with open_database(apprentice.data / "apprentice.db") as db:
        finish_job(db, create_job(db, "ingest", None).id, "done")
    apprentice("jobs", "cancel", "1", code=2)
    assert "already done" in refusal(apprentice)
    apprentice("jobs", "cancel", "7", code=2)
    assert "no job 7" in refusal(apprentice)
