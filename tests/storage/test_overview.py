"""Counts of a workspace, and that they are read from an index."""

from storage.database import write, write_transaction
from storage.feedback import add_feedback
from storage.overview import count_conversations, rated_weeks


def rated(db, reply_to, rating, days_ago=0, origin="staff"):
    given = add_feedback(
        db, message_id=reply_to("Q?").id, origin=origin, contributor="user:1", rating=rating
    )
    with write_transaction(db):
        ago = f"-{days_ago} days"
        sql = "update {} set {} = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?) where {} = ?"
        write(db, sql.format("feedback", "created_at", "id"), ago, given.id)
        talk = reply_to("Q?").conversation_id
        write(db, sql.format("conversations", "updated_at", "id"), ago, talk)


def test_thumbs_are_counted_by_week_without_imported_ones(db, workspace, reply_to):
    for rating, days in ((1, 0), (1, 0), (-1, 0), (-1, 14), (1, 100)):
        rated(db, reply_to, rating, days)
    rated(db, reply_to, 1, origin="import")
    weeks = rated_weeks(db, workspace.id)
    assert [(week.up, week.down) for week in weeks] == [(0, 0)] * 5 + [(0, 1), (0, 0), (2, 1)]
    assert len({week.week for week in weeks}) == 8
    assert [week.week for week in weeks] == sorted(week.week for week in weeks)
    assert all(week.up == week.down == 0 for week in rated_weeks(db, workspace.id + 1))


def test_conversations_of_the_last_days(db, workspace, reply_to):
    rated(db, reply_to, 1, days_ago=40)  # one of its two is as old
    assert count_conversations(db, workspace.id) == 1
    assert count_conversations(db, workspace.id, days=50) == 2


def test_both_read_an_index_alone(db, workspace):
    asked = []
    db.conn.set_trace_callback(asked.append)
    count_conversations(db, workspace.id)
    rated_weeks(db, workspace.id)
    plans = [
        " ".join(row[3] for row in db.conn.execute(f"explain query plan {sql}").fetchall())
        for sql in list(asked)
    ]
    assert "COVERING INDEX conversations_recent" in plans[0]
    assert "COVERING INDEX feedback_rated" in plans[1]
