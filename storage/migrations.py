"""The first tables. A migration that has been released is never edited; what came since is in
`later_migrations.py` and `newest_migrations.py`.

All ids are `autoincrement`: an id names a folder, a Chroma entry or an owner, so the id of a
deleted row must never come back for another one. What NULL means is said beside each column.
No JSON function in the schema: SQLite 3.40 calls them unsafe there under `trusted_schema = off`.
"""

from sqlite_utils import Database, Migrations

from storage.database import NOW

migrations = Migrations("apprentice")


@migrations()
def m001_people_and_workspaces(db: Database) -> None:
    """Who may do what where."""
    db.executescript(f"""
    create table workspaces (
        id integer primary key autoincrement,
        name text not null unique check (length(name) between 1 and 63),
        access text not null default 'members' check (access in ('public', 'members', 'embed')),
        created_at text not null default ({NOW})
    ) strict;
    create table instructions_versions (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        version integer not null check (version > 0),
        text text not null,
        author text not null,
        created_at text not null default ({NOW}),
        unique (workspace_id, version)
    ) strict;
    create table settings (
        workspace_id integer not null references workspaces(id) on delete cascade,
        key text not null,
        value text not null,
        updated_at text not null default ({NOW}),
        primary key (workspace_id, key)
    ) strict;
    create table checks (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        position integer not null,
        type text not null,
        specification text not null,
        unique (workspace_id, position)
    ) strict;
    create table users (
        id integer primary key autoincrement,
        name text not null unique collate nocase,
        role text not null check (role in ('admin', 'reviewer', 'member')),
        password_hash text not null,
        created_at text not null default ({NOW})
    ) strict;
    create table memberships (
        user_id integer not null references users(id) on delete cascade,
        workspace_id integer not null references workspaces(id) on delete cascade,
        created_at text not null default ({NOW}),
        primary key (user_id, workspace_id)
    ) strict;
    create index memberships_workspace on memberships(workspace_id);
    create table keys (
        id integer primary key autoincrement,
        kind text not null check (kind in ('api', 'embed')),
        name text not null,
        workspace_id integer references workspaces(id) on delete cascade, -- null: all of them
        hash text not null unique,
        created_at text not null default ({NOW}),
        last_used_at text, -- null: never used
        revoked_at text -- null: valid
    ) strict;
    create unique index keys_valid_name on keys(kind, name) where revoked_at is null;
    create index keys_workspace on keys(workspace_id);
    """)


@migrations()
def m002_audit(db: Database) -> None:
    """Who did what. Append-only; each row's hash covers the row before it."""
    db.executescript(f"""
    create table audit (
        id integer primary key autoincrement,
        at text not null default ({NOW}),
        actor text not null,
        action text not null,
        subject text not null,
        detail text not null,
        hash text not null
    ) strict;
    create trigger audit_no_update before update on audit
        begin select raise(abort, 'the audit is append-only'); end;
    create trigger audit_no_delete before delete on audit
        begin select raise(abort, 'the audit is append-only'); end;
    """)


@migrations()
def m003_jobs(db: Database) -> None:
    """All long work is a row; the index makes two unfinished rounds of a workspace impossible."""
    db.executescript(f"""
    create table jobs (
        id integer primary key autoincrement,
        kind text not null,
        workspace_id integer references workspaces(id) on delete cascade, -- null: the whole house
        state text not null default 'queued'
            check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
        progress real not null default 0.0 check (progress between 0.0 and 1.0),
        note text not null default '',
        cancel_requested integer not null default 0 check (cancel_requested in (0, 1)),
        pid integer, -- null: not started
        process text, -- boot and start time of pid: a pid used again is not taken for it
        created_at text not null default ({NOW}),
        started_at text,
        finished_at text, -- null: not finished
        heartbeat_at text,
        error text
    ) strict;
    create unique index jobs_one_round on jobs(workspace_id)
        where kind = 'round' and state in ('queued', 'running');
    create index jobs_state on jobs(state);
    create index jobs_workspace on jobs(workspace_id);
    """)


@migrations()
def m004_documents(db: Database) -> None:
    """What can be found. `chunks_fts` follows `chunks` by triggers."""
    db.executescript(f"""
    create table documents (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        name text not null,
        hash text not null,
        media_type text not null,
        source_url text, -- null: not from a website
        folder text, -- null: not ingested with a folder
        created_at text not null default ({NOW}),
        updated_at text not null default ({NOW}),
        unique (workspace_id, name)
    ) strict;
    create table chunks (
        id integer primary key autoincrement,
        document_id integer not null references documents(id) on delete cascade,
        workspace_id integer not null references workspaces(id) on delete cascade,
        position integer not null check (position >= 0),
        heading text not null,
        text text not null,
        hash text not null
    ) strict;
    create index chunks_document on chunks(document_id, position);
    create index chunks_workspace on chunks(workspace_id);
    create virtual table chunks_fts using fts5(
        heading, text, content='chunks', content_rowid='id',
        tokenize='porter unicode61 remove_diacritics 2'
    );
    create trigger chunks_inserted after insert on chunks begin
        insert into chunks_fts(rowid, heading, text) values (new.id, new.heading, new.text);
    end;
    create trigger chunks_deleted after delete on chunks begin
        insert into chunks_fts(chunks_fts, rowid, heading, text)
            values ('delete', old.id, old.heading, old.text);
    end;
    create trigger chunks_updated after update of heading, text on chunks begin
        insert into chunks_fts(chunks_fts, rowid, heading, text)
            values ('delete', old.id, old.heading, old.text);
        insert into chunks_fts(rowid, heading, text) values (new.id, new.heading, new.text);
    end;
    """)


@migrations()
def m005_rounds_and_adapters(db: Database) -> None:
    """What was taught, to what, with what result. A round's state is the state of its job."""
    db.executescript(f"""
    create table rounds (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        job_id integer not null unique references jobs(id) on delete cascade,
        start_adapter_id integer references adapters(id) on delete set null, -- null: from base
        base_fingerprint text not null,
        config text not null,
        verdict text check (verdict in ('promote', 'reject', 'not enough evidence')),
        reasons text not null default '[]',
        scores text not null default '{{}}',
        created_at text not null default ({NOW})
    ) strict;
    create index rounds_workspace on rounds(workspace_id);
    create index rounds_start on rounds(start_adapter_id);
    create table adapters (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        round_id integer references rounds(id) on delete cascade, -- null: imported
        parent_id integer references adapters(id) on delete set null, -- null: from base
        status text not null default 'candidate'
            check (status in ('candidate', 'serving', 'retired', 'rejected', 'tainted')),
        base_fingerprint text not null,
        method text not null,
        manifest_hash text not null,
        metrics text not null default '{{}}',
        created_at text not null default ({NOW}),
        deleted_at text, -- null: its folder is there; lineage outlives the folder
        check (deleted_at is null or status != 'serving')
    ) strict;
    create unique index adapters_one_serving on adapters(workspace_id) where status = 'serving';
    create index adapters_workspace on adapters(workspace_id);
    create index adapters_round on adapters(round_id);
    create index adapters_parent on adapters(parent_id);
    create table servings (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        adapter_id integer not null references adapters(id) on delete cascade,
        actor text not null,
        started_at text not null default ({NOW}),
        undone_at text -- null: not rolled back; the newest such row is what serves
    ) strict;
    create index servings_workspace on servings(workspace_id, id);
    create index servings_adapter on servings(adapter_id);
    """)


@migrations()
def m006_conversations(db: Database) -> None:
    """What was said, and for each reply what the model saw."""
    db.executescript(f"""
    create table conversations (
        id text not null primary key,
        workspace_id integer not null references workspaces(id) on delete cascade,
        owner text not null,
        title text not null default '',
        created_at text not null default ({NOW}),
        updated_at text not null default ({NOW})
    ) strict;
    create index conversations_owner on conversations(workspace_id, owner, updated_at);
    create table messages (
        id text not null primary key,
        conversation_id text not null references conversations(id) on delete cascade,
        -- set null, not cascade: a cascade down a thread of 1000 messages is too deep for SQLite
        parent_id text references messages(id) on delete set null, -- null: the first one
        variant_of text references messages(id) on delete set null, -- null: not a second try
        role text not null check (role in ('system', 'user', 'assistant')),
        content text not null,
        -- from here on for assistant messages only
        inputs text,
        sent_ids text, -- null: no prompt was sent
        base_fingerprint text,
        adapter_id integer references adapters(id) on delete set null, -- null: the base model
        engine text,
        prompt_tokens integer,
        completion_tokens integer,
        finish_reason text check (finish_reason in
            ('stop', 'length', 'interrupted', 'override', 'imported', 'error')), -- null: streaming
        override_id integer references overrides(id) on delete set null,
        latency_ms real,
        ttft_ms real,
        created_at text not null default ({NOW})
    ) strict;
    create index messages_conversation on messages(conversation_id);
    create index messages_parent on messages(parent_id);
    create index messages_variant on messages(variant_of);
    create index messages_adapter on messages(adapter_id);
    create index messages_override on messages(override_id);
    create index messages_unfinished on messages(role)
        where role = 'assistant' and finish_reason is null;
    """)


@migrations()
def m007_feedback(db: Database) -> None:
    """What people said about replies, and the corrections served before any training."""
    db.executescript(f"""
    create table feedback (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        message_id text not null references messages(id) on delete cascade,
        origin text not null check (origin in ('staff', 'widget', 'api', 'import')),
        contributor text not null,
        status text not null check (status in ('quarantined', 'new', 'approved', 'rejected')),
        rating integer check (rating in (-1, 1)), -- null: no thumb given
        reasons text not null default '[]',
        comment text not null default '',
        correction text, -- null: none given
        approved_correction text, -- null: not approved; the contributor's own text stays above
        "group" text not null,
        question text not null, -- as the reply's inputs have it
        question_key text not null, -- normalised
        history_key text not null, -- hash of what was said before it, '' for nothing
        duplicate_key text not null, -- same for near-equal rows: question, history, correction
        idempotency_key text, -- null: the sender gave none
        reviewer text,
        reviewed_at text,
        created_at text not null default ({NOW}),
        unique (workspace_id, idempotency_key),
        check (status != 'approved' or approved_correction is not null)
    ) strict;
    create index feedback_message on feedback(message_id);
    create index feedback_status on feedback(workspace_id, status, id);
    create index feedback_question on feedback(workspace_id, question_key, history_key);
    create index feedback_duplicate on feedback(workspace_id, duplicate_key);
    create index feedback_contributor on feedback(contributor);
    create table feedback_passages (
        feedback_id integer not null references feedback(id) on delete cascade,
        hash text not null,
        document_id integer references documents(id) on delete set null, -- null: gone or imported
        primary key (feedback_id, hash)
    ) strict;
    create index feedback_passages_document on feedback_passages(document_id);
    create table overrides (
        id integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        feedback_id integer not null unique references feedback(id) on delete cascade,
        question text not null,
        question_key text not null,
        history_key text not null,
        answer text not null,
        status text not null default 'active' check (status in ('active', 'retired')),
        retired_because text
            check (retired_because in ('replaced', 'rejected', 'learned', 'asked')),
        retired_at text,
        created_at text not null default ({NOW}),
        check ((status = 'retired') = (retired_because is not null))
    ) strict;
    create unique index overrides_one_active on overrides(workspace_id, question_key, history_key)
        where status = 'active';
    create table round_examples (
        id integer primary key autoincrement,
        round_id integer not null references rounds(id) on delete cascade,
        kind text not null check (kind in ('correction', 'replay', 'sentinel')),
        split text not null check (split in ('train', 'new wordings', 'new needs', 'sentinel')),
        feedback_id integer references feedback(id) on delete set null, -- null: erased, or none
        "group" text not null,
        pair_hash text not null
    ) strict;
    create index round_examples_round on round_examples(round_id);
    create index round_examples_feedback on round_examples(feedback_id);
    create index round_examples_hash on round_examples(pair_hash);
    create table round_metrics (
        round_id integer not null references rounds(id) on delete cascade,
        name text not null,
        step integer not null,
        value real, -- null: not a number
        primary key (round_id, name, step)
    ) strict, without rowid;
    create table evaluations (
        id integer primary key autoincrement,
        round_id integer not null references rounds(id) on delete cascade,
        case_id text not null,
        slice text not null,
        "row" text not null,
        answer text not null,
        "right" integer not null check ("right" in (0, 1)),
        unique (round_id, case_id, "row")
    ) strict;
    """)


@migrations()
def m008_views(db: Database) -> None:
    """For people who open the file: preference pairs, and every judgement with its words."""
    db.executescript("""
    create view pairs as
        select feedback_id, workspace_id, workspace, "group", question, chosen, rejected,
               contributor, origin, reviewer, reviewed_at, message_id
        from (
            select f.id as feedback_id, f.workspace_id, w.name as workspace, f."group",
                   f.question, f.approved_correction as chosen,
                   case when m.content not in ('', f.approved_correction) then m.content end
                       as rejected,
                   f.contributor, f.origin, f.reviewer, f.reviewed_at, f.message_id,
                   row_number() over (
                       partition by f.workspace_id, f.question_key, f.history_key
                       order by f.reviewed_at desc, f.id desc
                   ) as nth
            from feedback f
            join messages m on m.id = f.message_id
            join workspaces w on w.id = f.workspace_id
            where f.status = 'approved'
        )
        where nth = 1;
    create view ratings as
        select f.id as feedback_id, w.name as workspace, f.status, f.rating, f.reasons, f.comment,
               f.question, m.content as answer, f.correction, f.approved_correction, f."group",
               f.origin, f.contributor, f.reviewer, f.reviewed_at, f.created_at, m.conversation_id,
               f.message_id, m.adapter_id, m.base_fingerprint, m.engine
        from feedback f
        join messages m on m.id = f.message_id
        join workspaces w on w.id = f.workspace_id;
    """)
