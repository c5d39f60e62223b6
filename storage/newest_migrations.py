"""What came to the tables last; the rules of `migrations.py` hold here too."""

from sqlite_utils import Database

from storage.database import NOW
from storage.feedback_seals import seal_all
from storage.later_migrations import migrations

__all__ = ["migrations"]


@migrations()
def m020_pages_of_websites(db: Database) -> None:
    """What a page's server knows it by, so that it is sent again only when it has changed."""
    db.executescript("""
    alter table documents add column etag text; -- null: not a page, or the server gives none
    alter table documents add column last_modified text;
    """)


@migrations()
def m021_numbered_pairs(db: Database) -> None:
    """Each pair that changed has a number, so that the index of corrections reads those alone.

    Before, each reply compared all of them. The row outlives its feedback, whose vector is to go
    then.
    """
    # the newest two of one question: what is a pair now, and what was one before
    pairs = """
        insert or replace into pair_changes (workspace_id, feedback_id)
        select f.workspace_id, f.id from feedback f
        where f.workspace_id = {row}.workspace_id and f.question_key = {row}.question_key
        and f.history_key = {row}.history_key and f.status = 'approved'
        and f.approved_correction != ''
        and not exists (select 1 from duplicates d where d.feedback_id = f.id)
        order by f.reviewed_at desc, f.id desc limit 2;"""
    itself = """
        insert or replace into pair_changes (workspace_id, feedback_id)
        select id, {row}.id from workspaces where id = {row}.workspace_id;"""
    again = "update feedback set reviewed_at = reviewed_at where id ="
    db.executescript(f"""
    create table pair_changes (
        number integer primary key autoincrement,
        workspace_id integer not null references workspaces(id) on delete cascade,
        feedback_id integer not null unique
    ) strict;
    create index pair_changes_workspace on pair_changes(workspace_id, number);
    create trigger pair_added after insert on feedback when new.status = 'approved'
        begin {pairs.format(row="new")} end;
    create trigger pair_changed after update of status, approved_correction, question,
        question_key, history_key, reviewed_at on feedback
        begin {itself.format(row="new")} {pairs.format(row="old")} {pairs.format(row="new")} end;
    create trigger pair_deleted after delete on feedback when old.status = 'approved'
        begin {itself.format(row="old")} {pairs.format(row="old")} end;
    create trigger duplicate_noted after insert on duplicates
        begin {again} new.feedback_id; end;
    create trigger duplicate_left after delete on duplicates
        begin {again} old.feedback_id; end;
    """)


@migrations()
def m022_gone_chunks(db: Database) -> None:
    """Hashes of chunks that are gone tell which corrections may be stale; before, all were read."""
    db.executescript("""
    create table gone_chunks (
        workspace_id integer not null references workspaces(id) on delete cascade,
        hash text not null,
        primary key (workspace_id, hash)
    ) strict, without rowid;
    create trigger chunk_gone after delete on chunks begin
        insert or ignore into gone_chunks select id, old.hash from workspaces
            where id = old.workspace_id and not exists (select 1 from chunks
            where workspace_id = old.workspace_id and hash = old.hash);
    end;
    create trigger chunk_back after insert on chunks begin
        delete from gone_chunks where workspace_id = new.workspace_id and hash = new.hash;
    end;
    insert or ignore into gone_chunks
        select c.workspace_id, json_extract(p.value, '$.hash')
        from messages m join conversations c on c.id = m.conversation_id,
            json_each(m.inputs, '$.passages') p
        where m.inputs is not null and json_extract(p.value, '$.document_id')
        and not exists (select 1 from chunks k
            where k.workspace_id = c.workspace_id and k.hash = json_extract(p.value, '$.hash'));
    create index feedback_passages_hash on feedback_passages(hash);
    """)


@migrations()
def m023_first_pages(db: Database) -> None:
    """What the admin's first pages and the gaps read does not grow with what was said before."""
    db.executescript("""
    create index feedback_workspace on feedback(workspace_id);
    create index messages_unsure on messages(created_at, relevance, declined, conversation_id)
        where role = 'assistant' and override_id is null and finish_reason in ('stop', 'length')
        and (declined or relevance is not null);
    create index feedback_disliked on feedback(workspace_id, created_at, message_id)
        where rating = -1;
    """)


@migrations()
def m024_keys_in_use(db: Database) -> None:
    """What a key may do, how often, and from which websites. Nothing made keys before."""
    db.executescript("""
    alter table keys add column shown text not null default ''; -- what lists show of it
    alter table keys add column scopes text not null default '[]';
    alter table keys add column per_minute integer not null default 60 check (per_minute > 0);
    alter table keys add column per_day integer check (per_day > 0); -- null: as many as they like
    alter table keys add column per_visitor integer check (per_visitor > 0); -- a day; null: as many
    alter table keys add column origins text not null default '[]'; -- websites, of an embed key
    """)


@migrations()
def m025_chosen_branch(db: Database) -> None:
    """Which of several tries a conversation shows and goes on with."""
    db.executescript("""
    alter table conversations add column
        chosen text references messages(id) on delete set null; -- null: the newest message
    create index conversations_chosen on conversations(chosen) where chosen is not null;
    """)


@migrations()
def m026_overview_and_audit(db: Database) -> None:
    """What the overview counts and what the audit is searched by is read from an index."""
    db.executescript("""
    create index conversations_recent on conversations(workspace_id, updated_at, owner);
    create index feedback_rated on feedback(workspace_id, created_at, rating, origin)
        where rating is not null and origin != 'import';
    create index overrides_newest on overrides(workspace_id, id);
    create index audit_actor on audit(actor, id);
    create index audit_action on audit(action, id);
    create index audit_subject on audit(subject, id);
    """)


@migrations()
def m028_attachments(db: Database) -> None:
    """Files that a person gave in one conversation: their text goes with it and is nobody else's.

    `messages.attached`: said while a file was there, or after such a message, so it may hold words
    of the file even when that was taken away since. Nothing is learned from it.
    """
    db.executescript(f"""
    create table attachments (
        id integer primary key autoincrement,
        conversation_id text not null references conversations(id) on delete cascade,
        name text not null,
        bytes integer not null check (bytes > 0),
        embedder text not null, -- whose vectors its chunks have
        created_at text not null default ({NOW})
    ) strict;
    create index attachments_conversation on attachments(conversation_id);
    create table attachment_chunks (
        attachment_id integer not null references attachments(id) on delete cascade,
        position integer not null,
        heading text not null,
        text text not null,
        hash text not null,
        vector blob not null, -- float32
        primary key (attachment_id, position)
    ) strict;
    alter table messages add column attached integer not null default 0;
    create trigger message_attached after insert on messages
        when exists (select 1 from attachments where conversation_id = new.conversation_id)
        or exists (select 1 from messages where id = new.parent_id and attached)
        begin update messages set attached = 1 where id = new.id; end;
    """)


@migrations()
def m029_viewers_and_reasons(db: Database) -> None:
    """A role that sees and decides nothing; why a reply was wrong, in a reviewer's view.

    To drop `users` for a new one ends the memberships, so they are kept aside meanwhile.
    """
    db.executescript(f"""
    create table new_users (
        id integer primary key autoincrement,
        name text not null unique collate nocase,
        role text not null check (role in ('admin', 'reviewer', 'viewer', 'member')),
        password_hash text not null,
        created_at text not null default ({NOW})
    ) strict;
    insert into new_users select id, name, role, password_hash, created_at from users;
    delete from sqlite_sequence where name = 'new_users';
    insert into sqlite_sequence select 'new_users', seq from sqlite_sequence where name = 'users';
    create table kept_memberships as select user_id, workspace_id, created_at from memberships;
    drop table users;
    alter table new_users rename to users;
    insert into memberships select user_id, workspace_id, created_at from kept_memberships;
    drop table kept_memberships;
    alter table feedback add column review_reasons text not null default '[]';
    """)


@migrations()
def m030_avatars(db: Database) -> None:
    """The picture of a workspace's assistant; in the database, so that it goes where that goes."""
    db.executescript("""
    create table avatars (
        workspace_id integer primary key references workspaces(id) on delete cascade,
        hash text not null,
        png blob not null
    ) strict;
    """)


@migrations()
def m031_signed_and_proved_adapters(db: Database) -> None:
    """By which key an adapter's row and files were signed, and what each engine says by it."""
    db.executescript(f"""
    create table adapter_signatures (
        adapter_id integer primary key references adapters(id) on delete cascade,
        key text not null, -- which one: a hash of it
        signature text not null,
        signed_at text not null default ({NOW})
    ) strict;
    create table adapter_proofs (
        adapter_id integer not null references adapters(id) on delete cascade,
        engine text not null,
        proof text not null,
        signature text not null, -- '': signatures were off
        made_at text not null default ({NOW}),
        primary key (adapter_id, engine)
    ) strict, without rowid;
    """)


@migrations()
def m032_outside_feedback(db: Database) -> None:
    """What strangers gave is found by itself; `freed_feedback`: a reviewer looked at that row, so
    no cap of a round leaves it out."""
    db.executescript(f"""
    create index feedback_outside on feedback(workspace_id, status, id)
        where origin in ('widget', 'api');
    create table freed_feedback (
        feedback_id integer primary key references feedback(id) on delete cascade,
        reviewer text not null,
        freed_at text not null default ({NOW})
    ) strict;
    """)


@migrations()
def m033_sealed_feedback(db: Database) -> None:
    """A hash of what feedback says, so that a bit that flips on the disk shows."""
    db.executescript("alter table feedback add column text_hash text not null default '';")
    seal_all(db)


@migrations()
def m034_unmasked_values(db: Database) -> None:
    """What a reviewer lets a round learn as it is written although it looks private.

    With the feedback in which it was freed: an erasure takes it away. `value` is a hash, for what
    was freed may be a person's all the same; '': the whole row.
    """
    db.executescript(f"""
    create table unmasked (
        feedback_id integer not null references feedback(id) on delete cascade,
        value text not null,
        reviewer text not null,
        freed_at text not null default ({NOW}),
        primary key (feedback_id, value)
    ) strict, without rowid;
    """)


@migrations()
def m036_sessions(db: Database) -> None:
    """A login is a row that a log out deletes; a copied cookie outlived it before.

    With a new password, or a role that may less, all of a user's end. Only hashes are kept, so that
    a copy of the database opens nobody's page.
    """
    rank = "case {}.role when 'admin' then 3 when 'reviewer' then 2 when 'viewer' then 1 else 0 end"
    db.executescript(f"""
    create table sessions (
        hash text primary key,
        user_id integer not null references users(id) on delete cascade,
        started_at text not null default ({NOW})
    ) strict, without rowid;
    create index sessions_user on sessions(user_id);
    create trigger sessions_ended after update of role, password_hash on users
        when new.password_hash != old.password_hash
        or {rank.format("new")} < {rank.format("old")}
        begin delete from sessions where user_id = new.id; end;
    """)


@migrations()
def m037_second_reviewers_and_sites(db: Database) -> None:
    """The first of two reviewers' yes, and from which key or other installation feedback came.

    `first_yeses.text`: what the yes was said to; '' for a thumb. Of approved feedback it is the
    other name; of what waits it is all there is, the row itself being as it was.
    """
    db.executescript(f"""
    create table first_yeses (
        feedback_id integer primary key references feedback(id) on delete cascade,
        reviewer text not null,
        text text not null,
        said_at text not null default ({NOW}),
        waits integer not null check (waits in (0, 1)) -- 0: a second yes has settled it
    ) strict;
    create index first_yeses_waiting on first_yeses(feedback_id) where waits;
    alter table feedback add column site text not null default ''; -- '': this house's own pages
    update feedback set site = coalesce((
        select 'key:' || k.id from keys k
        where f.contributor = 'api:' || k.id
        or substr(f.contributor, 1, length('api:' || k.id) + 1) = 'api:' || k.id || ':'
        or substr(f.contributor, 1, length('visitor:embed-' || k.id) + 1)
            = 'visitor:embed-' || k.id || '-'
    ), '') from feedback f where f.id = feedback.id and feedback.origin in ('widget', 'api');
    create index feedback_site on feedback(workspace_id, site, status) where site != '';
    """)
