"""What came to the tables since the first ones; the rules of `migrations.py` hold here too."""

from sqlite_utils import Database

from storage.database import NOW
from storage.migrations import migrations

__all__ = ["migrations"]


@migrations()
def m009_copies(db: Database) -> None:
    """What left the house and where it went; and what is set for the house as a whole."""
    db.executescript(f"""
    create table copies (
        id integer primary key autoincrement,
        kind text not null check (kind in ('export', 'push', 'bundle')),
        adapter_id integer references adapters(id) on delete set null, -- null: a round's bundle
        round_id integer references rounds(id) on delete set null, -- null: an imported adapter's
        place text not null, -- a folder, or a repository with its hub
        format text not null,
        hash text not null, -- of the manifest that lies with the copy; '' for none
        actor text not null,
        created_at text not null default ({NOW})
    ) strict;
    create index copies_adapter on copies(adapter_id);
    create index copies_round on copies(round_id);
    create table house_settings (
        key text primary key,
        value text not null,
        updated_at text not null default ({NOW})
    ) strict, without rowid;
    """)


@migrations()
def m010_thumbs(db: Database) -> None:
    """Approved thumbs teach too: '' for an approved correction says that there is no text.

    `feedback` itself stays as it is: to drop it for a new one would cascade. Nothing points to
    `round_examples`, which is made anew with its rows.
    """
    db.executescript("""
    drop view ratings;
    create view thumbs as
        select feedback_id, workspace_id, workspace, "group", question, answer, label,
               contributor, origin, reviewer, reviewed_at, message_id
        from (
            select f.id as feedback_id, f.workspace_id, w.name as workspace, f."group",
                   f.question, m.content as answer, f.rating = 1 as label,
                   f.contributor, f.origin, f.reviewer, f.reviewed_at, f.message_id,
                   row_number() over (
                       partition by f.message_id order by f.reviewed_at desc, f.id desc
                   ) as nth
            from feedback f
            join messages m on m.id = f.message_id
            join workspaces w on w.id = f.workspace_id
            where f.status = 'approved' and f.approved_correction = ''
            and not exists (
                select 1 from feedback c where c.message_id = f.message_id
                and c.status = 'approved' and c.approved_correction != ''
            )
        )
        where nth = 1;
    create view ratings as
        select f.id as feedback_id, w.name as workspace, f.status, f.rating, f.reasons, f.comment,
               f.question, m.content as answer, f.correction,
               nullif(f.approved_correction, '') as approved_correction, f."group",
               f.origin, f.contributor, f.reviewer, f.reviewed_at, f.created_at, m.conversation_id,
               f.message_id, m.adapter_id, m.base_fingerprint, m.engine
        from feedback f
        join messages m on m.id = f.message_id
        join workspaces w on w.id = f.workspace_id;
    create table new_round_examples (
        id integer primary key autoincrement,
        round_id integer not null references rounds(id) on delete cascade,
        kind text not null
            check (kind in ('correction', 'preference', 'thumb', 'replay', 'sentinel')),
        split text not null check (split in ('train', 'new wordings', 'new needs', 'sentinel')),
        feedback_id integer references feedback(id) on delete set null, -- null: erased, or none
        "group" text not null,
        pair_hash text not null
    ) strict;
    insert into new_round_examples select id, round_id, kind, split, feedback_id, "group", pair_hash
        from round_examples;
    drop table round_examples;
    alter table new_round_examples rename to round_examples;
    create index round_examples_round on round_examples(round_id);
    create index round_examples_feedback on round_examples(feedback_id);
    create index round_examples_hash on round_examples(pair_hash);
    """)


@migrations()
def m011_erasures(db: Database) -> None:
    """What was erased and who asked for it; where copies of the database lie."""
    db.executescript(f"""
    create table erasures (
        id integer primary key autoincrement,
        kind text not null check (kind in ('feedback', 'conversation', 'contributor')),
        subject text not null, -- the id asked for; a contributor's is a hash once the rows are gone
        subject_hash text not null,
        actor text not null,
        state text not null default 'asked' check (state in ('asked', 'rows', 'files', 'done')),
        retrain text not null default 'no' check (retrain in ('no', 'wanted', 'done')),
        detail text not null default '{{}}', -- ids and hashes only
        asked_at text not null default ({NOW}),
        erased_at text, -- null: the rows are still there
        finished_at text -- null: files are still to be cleaned
    ) strict;
    create index erasures_subject on erasures(kind, subject_hash);
    create table erasure_requests (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        kind text not null check (kind in ('feedback', 'conversation', 'contributor')),
        subject text not null,
        requester text not null,
        state text not null default 'pending' check (state in ('pending', 'approved', 'refused')),
        decided_by text, -- null: waits
        decided_at text,
        erasure_id integer references erasures(id) on delete set null, -- null: not erased
        created_at text not null default ({NOW})
    ) strict;
    create index erasure_requests_workspace on erasure_requests(workspace_id, state);
    create index erasure_requests_erasure on erasure_requests(erasure_id);
    create unique index erasure_requests_once on erasure_requests(workspace_id, kind, subject)
        where state = 'pending';
    create table backups (
        id integer primary key autoincrement,
        path text not null,
        size integer not null,
        hash text not null,
        actor text not null,
        created_at text not null default ({NOW}), -- when the copy of the database was begun
        purged_at text -- null: not deleted by us
    ) strict;
    create table round_documents (
        round_id integer not null references rounds(id) on delete cascade,
        name text not null,
        document_id integer references documents(id) on delete set null, -- null: removed since
        rows integer not null,
        primary key (round_id, name)
    ) strict;
    create index round_documents_document on round_documents(document_id);
    """)


@migrations()
def m012_duplicates(db: Database) -> None:
    """Of corrections that say the same one trains; the others are on record, and no pairs.

    And which corrections a person kept although the document that they were made from changed.
    """
    db.executescript(f"""
    create table duplicates (
        feedback_id integer primary key references feedback(id) on delete cascade,
        same_as integer not null references feedback(id) on delete cascade,
        check (feedback_id != same_as)
    ) strict;
    create index duplicates_same_as on duplicates(same_as);
    create table kept_passages (
        feedback_id integer not null references feedback(id) on delete cascade,
        hash text not null, -- of the passage as the reply was made from it
        seen text not null, -- hash of what the document says there now; '': it is gone
        kept_by text not null,
        kept_at text not null default ({NOW}),
        primary key (feedback_id, hash)
    ) strict, without rowid;
    drop view pairs; -- made anew in m015
    """)


@migrations()
def m013_paraphrases(db: Database) -> None:
    """Other wordings of corrected questions, which judge and never train."""
    db.executescript(f"""
    create table paraphrases (
        id integer primary key autoincrement,
        feedback_id integer not null references feedback(id) on delete cascade,
        question text not null,
        question_key text not null, -- normalised
        author text not null,
        created_at text not null default ({NOW}),
        unique (feedback_id, question_key)
    ) strict;
    """)


@migrations()
def m014_pairs_by_index(db: Database) -> None:
    """The same pairs, found row by row instead of by sorting all of them.

    Reading a million took 73 s by the window function and 16 s so, and one pair by its id is a
    look-up. The newest approval counts; one that is approved always has its time.
    """
    db.executescript("""
    drop index feedback_question;
    create index feedback_question
        on feedback(workspace_id, question_key, history_key, reviewed_at);
    """)


@migrations()
def m015_paired_feedback(db: Database) -> None:
    """What the pairs are made of, with the inputs; who needs no message of theirs reads none.

    A left join of which no column is asked for is left out by SQLite, and every message is there
    by its foreign key. Of a million rows the keys took 14 s of processor time, and take 6.
    """
    db.executescript("""
    drop view if exists pairs;
    create view paired_feedback as
        select f.id as feedback_id, f.workspace_id, f."group", f.question, f.question_key,
               f.approved_correction as chosen,
               case when m.content not in ('', f.approved_correction) then m.content end
                   as rejected,
               f.contributor, f.origin, f.reviewer, f.reviewed_at, f.message_id, m.inputs
        from feedback f
        left join messages m on m.id = f.message_id
        where f.status = 'approved' and f.approved_correction != ''
        and not exists (select 1 from duplicates d where d.feedback_id = f.id)
        and not exists (
            select 1 from feedback n
            where n.workspace_id = f.workspace_id and n.question_key = f.question_key
            and n.history_key = f.history_key and n.reviewed_at >= f.reviewed_at
            and (n.reviewed_at > f.reviewed_at or n.id > f.id)
            and n.status = 'approved' and n.approved_correction != ''
            and not exists (select 1 from duplicates d where d.feedback_id = n.id)
        );
    create view pairs as
        select p.feedback_id, p.workspace_id, w.name as workspace, p."group", p.question,
               p.chosen, p.rejected, p.contributor, p.origin, p.reviewer, p.reviewed_at,
               p.message_id
        from paired_feedback p
        join workspaces w on w.id = p.workspace_id;
    """)


@migrations()
def m016_override_meanings(db: Database) -> None:
    """Overrides found by what their question asks, however it is worded.

    The key is worked out outside `storage`; null: not yet. Rows that no key can find any more, for
    the rules have changed, are set to null by a migration of that day.
    """
    db.executescript("""
    alter table overrides add column meaning_key text;
    create index overrides_meaning on overrides(workspace_id, meaning_key)
        where status = 'active' and history_key = '';
    create index chunks_hash on chunks(workspace_id, hash);
    create table learned_overrides (
        override_id integer not null references overrides(id) on delete cascade,
        adapter_id integer not null references adapters(id) on delete cascade,
        primary key (override_id, adapter_id)
    ) strict, without rowid; -- the adapter was asked, without it, and was right
    create index learned_overrides_adapter on learned_overrides(adapter_id);
    """)


@migrations()
def m017_words_in_memory(db: Database) -> None:
    """No FTS5 beside the chunks: `knowledge.lexical` finds words faster."""
    db.executescript("""
    drop trigger chunks_inserted;
    drop trigger chunks_deleted;
    drop trigger chunks_updated;
    drop table chunks_fts;
    """)


@migrations()
def m018_what_documents_do_not_say(db: Database) -> None:
    """Which questions the documents leave open: how relevant the best passage was, if they were
    searched, and whether the reply is that they do not say."""
    db.executescript("""
    alter table messages add column relevance real; -- null: not searched
    alter table messages add column declined integer not null default 0
        check (declined in (0, 1));
    """)


@migrations()
def m019_overrides_of_later_questions(db: Database) -> None:
    """A question that nothing before can change may be corrected in the midst of a conversation."""
    db.executescript("""
    drop index overrides_meaning;
    create index overrides_meaning on overrides(workspace_id, meaning_key)
        where status = 'active';
    """)
