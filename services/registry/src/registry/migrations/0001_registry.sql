-- Every dataset that passed the metric, in the order of arrival: the waiting list, and (state 'published')
-- the membership of the pre-training database.
create table datasets (
    dataset_id uuid not null,
    version integer not null check (version > 0),
    arrival bigint generated always as identity unique,
    arrived_at timestamptz not null default now(),
    title text not null,
    authors text[] not null,
    licence text not null,
    private boolean not null,
    manifest jsonb not null,
    metric_report jsonb not null,
    train_frames integer not null check (train_frames > 0),
    nearest_branch text,
    energy_shift_ev jsonb not null,
    traceparent text,
    state text not null default 'waiting'
        check (state in ('waiting', 'training', 'published', 'withheld', 'failed')),
    reason text,
    primary key (dataset_id, version)
);

create index datasets_waiting on datasets (arrival) where state = 'waiting';

-- Published versions of the model. `manifest` is the full one, for services; `files` is what anyone may download.
create table models (
    version text primary key,
    major integer not null,
    minor integer not null,
    parent_version text references models (version),
    round_id uuid not null unique,
    preset text not null,
    manifest jsonb not null,
    files jsonb not null,
    rules jsonb not null,
    standard_score double precision not null,
    contributors text[] not null,
    published_at timestamptz not null,
    unique (major, minor)
);

-- Rounds of training. The lease is part of the row: only the newest `fence` may write, and only while it trains.
create table rounds (
    round_id uuid primary key,
    sequence bigint generated always as identity unique,
    state text not null default 'waiting'
        check (state in ('waiting', 'training', 'published', 'withheld', 'failed')),
    parent_version text references models (version),
    preset text not null,
    total_steps integer not null check (total_steps > 0),
    seed bigint not null,
    traceparent text,
    planned_at timestamptz not null default now(),
    ended_at timestamptz,
    fence bigint not null default 0,
    worker text,
    lease_expires_at timestamptz,
    failures integer not null default 0,
    step integer not null default 0,
    reported_step integer,
    reason text,
    rules jsonb,
    model_version text references models (version),
    collected boolean not null default false,
    check ((state = 'training') = (worker is not null and lease_expires_at is not null)),
    check ((state in ('published', 'withheld', 'failed')) = (ended_at is not null)),
    check ((state = 'published') = (model_version is not null))
);

-- Growth is one line: at most one round is open, however many replicas plan.
create unique index rounds_one_open on rounds ((true)) where state in ('waiting', 'training');

alter table models add foreign key (round_id) references rounds (round_id);

-- What a round trains on: old branches first, in the parent's order. Of a published round, its model's branches.
create table round_branches (
    round_id uuid not null references rounds (round_id),
    position integer not null,
    name text not null,
    dataset_id uuid not null,
    dataset_version integer not null,
    is_new boolean not null,
    weight double precision not null check (weight > 0 and weight <= 1),
    energy_rmse_mev_per_atom double precision,
    force_rmse_mev_per_angstrom double precision,
    primary key (round_id, position),
    unique (round_id, name),
    foreign key (dataset_id, dataset_version) references datasets (dataset_id, version)
);

-- Checkpoints of a round: a successor resumes from the one with the most steps.
create table checkpoints (
    round_id uuid not null references rounds (round_id),
    step integer not null check (step >= 0),
    fence bigint not null,
    blob jsonb not null,
    stored_at timestamptz not null default now(),
    primary key (round_id, step)
);

-- Where each alias pointed and when. Rows are only added: an alias points where its newest row says.
create table alias_moves (
    seq bigint generated always as identity primary key,
    alias text not null,
    version text not null references models (version),
    moved_at timestamptz not null default now(),
    reason text not null
);

create index alias_moves_by_alias on alias_moves (alias, seq desc);
