-- The life of an entry beyond its first publication.
-- dpa: it joins the DPA dataset; else it is shared only. orcids: name → ORCID iD. region: where the archive lies besides
-- the storage that all services share; none: only there. withdrawn: of all versions of an entry at once.
alter table datasets add column dpa boolean not null default true;
alter table datasets add column orcids jsonb not null default '{}';
alter table datasets add column region text;
alter table datasets add column made_public timestamptz;
alter table datasets add column withdrawn timestamptz;
alter table datasets add column withdrawal_reason text;

-- region: which process takes the bytes; none: the first. placed: its file has been made there. received: bytes
-- that had arrived when a request ended, for those who cannot look at the file. An upload of another
-- region is written to by whoever has its ticket, known by its SHA-256.
alter table uploads add column region text;
alter table uploads add column placed boolean not null default true;
alter table uploads add column received bigint not null default 0;
alter table uploads add column ticket_sha256 bytea;

-- Texts that somebody agreed to, as they were shown.
create table agreement_texts (
    sha256 text primary key,
    version text not null,
    language text not null,
    content text not null
);

-- Which text was agreed to for what, and when. act: publish or make-public.
create table consents (
    dataset_id uuid not null,
    version int not null,
    act text not null check (act in ('publish', 'make-public')),
    person_id uuid not null references people,
    text_sha256 text not null references agreement_texts,
    agreed timestamptz not null default clock_timestamp(),
    primary key (dataset_id, version, act),
    foreign key (dataset_id, version) references datasets (dataset_id, version)
);
