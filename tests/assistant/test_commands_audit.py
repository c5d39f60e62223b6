"""`apprentice audit verify`: what it finds, by its exit code too."""

import sqlite3

from tests.assistant.command_line import refusal


def test_an_audit_as_it_was_written_and_one_that_was_changed(apprentice):
    apprentice("workspaces", "create", "team")
    (noted,) = apprentice.rows("audit", "verify")
    assert noted["kept"] and len(noted["head"]) == 64
    apprentice("workspaces", "create", "other")
    (later,) = apprentice.rows("audit", "verify", "--head", noted["head"])
    assert later["noted"] == noted["entries"] and later["head"] != noted["head"]
    assert "unaltered" in apprentice("audit", "verify")

    (unknown,) = apprentice.rows("audit", "verify", "--head", "0" * 64, code=1)
    assert unknown["missing"] and not unknown["kept"]
    apprentice("audit", "verify", "--head", "short", code=2)
    assert "64 digits" in refusal(apprentice)

    with sqlite3.connect(apprentice.data / "apprentice.db") as connection:
        connection.execute("drop trigger audit_no_update")
        connection.execute("update audit set action = 'nothing' where id = 2")
    (found,) = apprentice.rows("audit", "verify", code=1)
    assert found["altered"] == 2
    assert "row 2 was changed" in apprentice("audit", "verify", code=1)
