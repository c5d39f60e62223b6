"""Which website, program or installation feedback came from."""

import pytest

from storage.database import one, open_database, write, write_transaction
from storage.errors import BadInput, NotFound
from storage.feedback import add_feedback, reject
from storage.keys import create_key, revoke_key
from storage.newest_migrations import migrations
from storage.sites import known_site, other_site, site_of, sites

VISITOR = "visitor:embed-{}-0f0f"


@pytest.fixture
def keys(db, workspace):
    its = {"workspace_id": workspace.id, "actor": "test"}
    shop, _ = create_key(db, "shop", kind="embed", origins=["https://shop.example"], **its)
    crm, _ = create_key(db, "crm", **its)
    return shop, crm


@pytest.mark.parametrize(
    ("contributor", "site"),
    [
        ("api:3", "key:3"),
        ("api:3:user:7", "key:3"),
        (VISITOR.format(12), "key:12"),
        ("visitor:0f0f", ""),
        ("user:3", ""),
        ("api:x", ""),
        ("south/api:3", ""),
    ],
)
def test_a_key_is_told_by_the_contributor(contributor, site):
    assert site_of(contributor) == site


def test_they_are_counted_by_name_and_status(db, workspace, keys, reply_to):
    shop, crm = keys
    givers = [VISITOR.format(shop.id), f"api:{crm.id}", f"api:{crm.id}:eve", "user:1"]
    rows = [
        add_feedback(db, message_id=reply_to(who).id, origin="api", contributor=who, rating=1)
        for who in givers
    ]
    far = add_feedback(
        db,
        message_id=reply_to("far").id,
        origin="widget",
        contributor="south/visitor:x",
        rating=1,
        site=other_site("south"),
    )
    reject(db, rows[1].id, reviewer="user:2")
    revoke_key(db, "crm", actor="test")
    found = [(one.name, one.site, one.counts) for one in sites(db, workspace.id)]
    assert found == [
        ("crm (revoked)", f"key:{crm.id}", {"new": 1, "rejected": 1}),
        ("shop", f"key:{shop.id}", {"new": 1}),
        ("south", "site:south", {"new": 1}),
    ]
    assert [known_site(db, workspace.id, name) for name in ("crm", "south", "site:south")] == [
        *(f"key:{crm.id}", "site:south", "site:south"),
    ]
    assert far.site == "site:south" and rows[3].site == ""
    with pytest.raises(NotFound, match="No feedback.*'north'.*shop, south"):
        known_site(db, workspace.id, "north")


@pytest.mark.parametrize("name", ["", "South", "a b", "-a", "x" * 64])
def test_a_name_that_cannot_be_one_is_refused(name):
    with pytest.raises(BadInput, match="cannot name a site"):
        other_site(name)


def test_rows_from_before_get_their_key(tmp_path):
    """m037 fills the column in."""
    path = tmp_path / "apprentice.db"
    path.touch()
    with open_database(path) as db:
        migrations.apply(db, stop_before="m037_second_reviewers_and_sites")
        with write_transaction(db):
            write(db, "insert into workspaces (name) values ('w')")
            write(db, "insert into conversations (id, workspace_id, owner) values ('c', 1, 'x')")
            write(
                db,
                "insert into messages (id, conversation_id, role, content) "
                "values ('m', 'c', 'assistant', 'a')",
            )
            for number, name in ((1, "one"), (11, "eleven")):
                write(
                    db,
                    "insert into keys (id, kind, name, hash) values (?, 'api', ?, ?)",
                    number,
                    name,
                    name,
                )
            for who in ("api:1", "api:11:eve", VISITOR.format(11), "visitor:abc", "api:7"):
                write(
                    db,
                    """insert into feedback (workspace_id, message_id, origin, contributor, status,
                    "group", question, question_key, history_key, duplicate_key)
                    values (1, 'm', 'api', ?, 'new', '', '', '', '', '')""",
                    who,
                )
        migrations.apply(db)
        kept = [
            one(db, "select site from feedback where id = ?", number)["site"]
            for number in range(1, 6)
        ]
    assert kept == ["key:1", "key:11", "key:11", "", ""]
