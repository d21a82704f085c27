-- What lists and searches read, a row a dataset and audience: the newest public version, and for its owner a newer
-- private one. Derived from datasets, contributions and rounds whenever one of them changes (refresh_catalogue).
create table catalogue (
    dataset_id uuid not null,
    public boolean not null,
    version int not null,
    owner_id uuid not null,
    name text not null,
    authors text[] not null,
    licence text not null,
    created timestamptz not null,
    size bigint not null,
    frames int not null,
    elements text[] not null,
    new_elements text[] not null,
    functional text,
    stage text not null,
    state text not null,
    verdict text,
    held_up boolean not null,
    model text,
    -- Words of all that can be searched, and a lexeme a facet ('element:Si', 'licence:CC0-1.0', …): one index for all.
    search tsvector not null,
    primary key (dataset_id, public)
);
create index catalogue_search on catalogue using gin (search);
create index catalogue_newest on catalogue (created, dataset_id) where public;
create index catalogue_name on catalogue (lower(name), dataset_id) where public;
create index catalogue_frames on catalogue (frames, dataset_id) where public;
create index catalogue_size on catalogue (size, dataset_id) where public;
create index catalogue_functional on catalogue (functional) where public and functional is not null;
create index catalogue_private on catalogue (owner_id) where not public;

-- Of a dataset's manifest: formulas (reduced, in alphabetical order: 'C1Si1') and pairs of elements ('C-Si').
create table dataset_facts (
    dataset_id uuid not null,
    version int not null,
    formulas text[] not null,
    pairs text[] not null,
    primary key (dataset_id, version)
);

-- Names that point to versions, as ModelAliased events told: the newest row of an alias counts.
create table alias_moves (
    alias text not null,
    moved timestamptz not null,
    version text not null,
    previous text,
    reason text not null,
    primary key (alias, moved)
);

-- Versions that are no longer offered, and those whose datasets were withdrawn.
create table model_marks (
    version text primary key,
    retired timestamptz,
    retired_reason text,
    marked timestamptz,
    withdrawn_branches text[] not null default '{}',
    withdrawn_ancestral_datasets int not null default 0
);

alter table rounds add column started_at timestamptz;

-- Operators, and people who may not sign in.
alter table people add column operator boolean not null default false;
alter table people add column suspended timestamptz;

-- Events that a service gave up on: `sequence` is their number in the log. The row stays when it was handled again
-- or dropped: state says so.
create table dead_letters (
    letter_id bigint generated always as identity primary key,
    consumer text not null,
    event_id text not null,
    sequence bigint not null,
    subject text not null,
    about text not null,
    reason text not null,
    attempts int not null,
    died timestamptz not null,
    state text not null default 'open' check (state in ('open', 'requeued', 'dropped')),
    unique (consumer, event_id)
);
create index dead_letters_open on dead_letters (died) where state = 'open';

-- Who did what, and when. Rows are only ever added.
create table audit_log (
    entry_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    person_id uuid references people,
    person text not null,
    action text not null,
    about text not null,
    reason text not null
);
create function audit_log_stays() returns trigger language plpgsql as
$$ begin raise exception 'the audit log is only added to'; end $$;
create trigger audit_log_stays before update or delete or truncate on audit_log
for each statement execute function audit_log_stays();

insert into catalogue
select d.dataset_id, true, d.version, d.owner_id, d.name, d.authors, d.licence, d.created, d.archive_size, 0, '{}', '{}',
       null, 'submit', 'uploaded', null, false, null, ''
from (select distinct on (dataset_id) * from datasets where not private order by dataset_id, version desc) d;
