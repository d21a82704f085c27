-- What the gateway owns: people, their sessions and tokens, uploads in progress, dataset entries.
create table people (
    person_id uuid primary key default gen_random_uuid(),
    email text not null unique check (email = lower(email)),
    name text not null,
    password_hash text not null,
    created timestamptz not null default now()
);

-- A session or token is known by the SHA-256 of its secret: whoever reads this table cannot use it.
create table sessions (
    secret_sha256 bytea primary key,
    person_id uuid not null references people on delete cascade,
    created timestamptz not null default now(),
    expires timestamptz not null
);
create index sessions_expires on sessions (expires);

create table tokens (
    token_id uuid primary key default gen_random_uuid(),
    secret_sha256 bytea not null unique,
    person_id uuid not null references people on delete cascade,
    name text not null,
    created timestamptz not null default now(),
    last_used timestamptz
);
create index tokens_person on tokens (person_id);

-- Attempts to sign in that did not succeed; a success clears them.
create table sign_in_attempts (
    attempt_id bigint generated always as identity primary key,
    account text not null,
    address text not null,
    at timestamptz not null default clock_timestamp()
);
create index sign_in_attempts_of on sign_in_attempts (account, address, at);
create index sign_in_attempts_at on sign_in_attempts (at);

-- The file on disk is the offset; sha256 is set once the last byte is stored.
create table uploads (
    upload_id uuid primary key,
    owner_id uuid not null references people on delete cascade,
    filename text not null,
    size bigint not null check (size > 0),
    sha256 text,
    created timestamptz not null default now(),
    touched timestamptz not null default now()
);
create index uploads_owner on uploads (owner_id);
create index uploads_touched on uploads (touched);

create table datasets (
    dataset_id uuid not null,
    version int not null check (version >= 1),
    owner_id uuid not null references people,
    upload_id uuid not null unique,
    name text not null,
    authors text[] not null,
    format text not null,
    licence text not null,
    private boolean not null,
    description text not null,
    declared jsonb,
    agreement text not null,
    filename text not null,
    archive_key text not null,
    archive_sha256 text not null,
    archive_size bigint not null,
    idempotency_key text,
    request_sha256 text not null,
    created timestamptz not null default clock_timestamp(),
    primary key (dataset_id, version)
);
create unique index datasets_idempotency on datasets (owner_id, idempotency_key) where idempotency_key is not null;
create index datasets_newest on datasets (created desc, dataset_id);
create index datasets_owner on datasets (owner_id, created desc);

-- Read tables: projections of events. They keep facts as they were told; state, stage and verdict are derived from
-- all facts of a contribution whenever one arrives.
create table contributions (
    dataset_id uuid not null,
    version int not null,
    validated jsonb,
    rejected jsonb,
    metric_started jsonb,
    metric jsonb,
    metric_at timestamptz,
    pictures jsonb,
    stage text not null default 'submit',
    state text not null default 'uploaded',
    verdict text,
    last_event timestamptz,
    held_up text,
    held_up_at timestamptz,
    position bigint not null default 0,
    primary key (dataset_id, version)
);
create index contributions_waiting on contributions (state) where stage in ('submit', 'check', 'queue', 'train');

-- What watchers of a contribution were told, in order: position counts within the contribution.
create table contribution_log (
    dataset_id uuid not null,
    version int not null,
    position bigint not null,
    data text not null,
    primary key (dataset_id, version, position)
);

create table rounds (
    round_id uuid primary key,
    queued jsonb,
    queued_at timestamptz,
    attempt int not null default 0,
    resumed_from int not null default 0,
    worker text,
    progress jsonb,
    failed jsonb,
    finished jsonb,
    published jsonb,
    withheld jsonb
);

create table round_datasets (
    round_id uuid not null references rounds,
    dataset_id uuid not null,
    version int not null,
    branch text not null,
    primary key (round_id, dataset_id, version)
);
create index round_datasets_dataset on round_datasets (dataset_id, version);

create table curve_points (
    round_id uuid not null references rounds,
    branch text not null,
    step int not null,
    attempt int not null,
    energy_rmse_mev_per_atom double precision not null,
    force_rmse_mev_per_angstrom double precision not null,
    primary key (round_id, branch, step)
);

create table models (
    version text primary key,
    published timestamptz not null,
    event jsonb not null
);
