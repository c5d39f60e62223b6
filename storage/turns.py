"""Whose turn it is: rounds are at work on a machine one at a time, in the order they were queued.

Two would share cores and memory. One that trains on another machine is away, and not in the way.
"""

from sqlite_utils import Database

from storage.database import one, write, write_transaction
from storage.jobs import note_waiting, start_job
from storage.records import TuningRound
from storage.rounds import tuning_round


def take_turn(db: Database, round_id: int, pid: int) -> str | None:
    """Start the round if no other of this machine is before it; else which one, in words.

    The words are noted in the waiting job too.
    """
    with write_transaction(db):
        known = tuning_round(db, round_id)
        said = _in_the_way(db, known, "j.id < ? or j.state = 'running'", known.job_id)
        if said is None:
            _set_away(db, round_id, False)
            start_job(db, known.job_id, pid)
        else:
            note_waiting(db, known.job_id, said)
    return said


def give_turn(db: Database, round_id: int) -> None:
    """A running round trains on another machine from here on: the next one may start meanwhile."""
    with write_transaction(db):
        _set_away(db, round_id, True)


def take_turn_back(db: Database, round_id: int) -> str | None:
    """A round that was away goes on here, if no other is at work here; else which one, in words."""
    with write_transaction(db):
        known = tuning_round(db, round_id)
        said = _in_the_way(db, known, "j.state = 'running'")
        if said is None:
            _set_away(db, round_id, False)
    return said


def _in_the_way(db: Database, known: TuningRound, which: str, *values: object) -> str | None:
    """The oldest other unfinished round that is here and is `which`, in words."""
    ahead = one(
        db,
        f"""select r.id, w.name from jobs j join rounds r on r.job_id = j.id
        join workspaces w on w.id = r.workspace_id
        where j.state in ('queued', 'running') and j.id != ? and ({which})
        and not (j.state = 'running' and coalesce(json_extract(r.config, '$.away'), 0))
        order by j.id limit 1""",
        known.job_id,
        *values,
    )
    return f"waiting for round {ahead['id']} of {ahead['name']}" if ahead else None


def _set_away(db: Database, round_id: int, away: bool) -> None:
    change = "json_set(config, '$.away', 1)" if away else "json_remove(config, '$.away')"
    write(db, f"update rounds set config = {change} where id = ?", round_id)
