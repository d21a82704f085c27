-- What ingest knows about each dataset version that it was asked to read.
create table datasets (
    dataset_id uuid not null,
    version integer not null check (version >= 1),
    state text not null check (state in ('reading', 'validated', 'rejected')),
    attempts integer not null default 1,
    started timestamptz not null default now(),
    ended timestamptz,
    format text,
    content_sha256 text,
    frames integer,
    manifest jsonb,
    rule text,
    reason text,
    primary key (dataset_id, version),
    check ((state = 'reading') = (ended is null)),
    check ((state = 'validated') = (manifest is not null)),
    check ((state = 'rejected') = (rule is not null))
);

-- Equal content in several entries is found by this.
create index datasets_content on datasets (content_sha256);
