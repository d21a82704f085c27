-- Versions of the standard dataset. `content` is the StandardDataset that ingest and trainers read.
create table standard_versions (
    number integer primary key check (number > 0),
    model_version text not null references models (version),
    seed bigint not null,
    frames_per_branch integer not null check (frames_per_branch > 0),
    content jsonb not null,
    released_at timestamptz not null default now()
);

-- The frames of each branch: hashes of 32 bytes one after another. `frames_sha256` names the set, so that errors on
-- it stay known when other branches come and go.
create table standard_branches (
    number integer not null references standard_versions (number),
    position integer not null,
    branch text not null,
    dataset_id uuid not null,
    dataset_version integer not null,
    frames bytea not null check (length(frames) > 0 and length(frames) % 32 = 0),
    frames_sha256 text not null,
    baseline_energy_rmse_mev_per_atom double precision not null check (baseline_energy_rmse_mev_per_atom > 0),
    baseline_force_rmse_mev_per_angstrom double precision not null check (baseline_force_rmse_mev_per_angstrom > 0),
    primary key (number, position),
    unique (number, dataset_id, dataset_version),
    foreign key (dataset_id, dataset_version) references datasets (dataset_id, version)
);

-- Errors of a model on the standard frames of one dataset.
create table standard_errors (
    model_version text not null references models (version),
    dataset_id uuid not null,
    dataset_version integer not null,
    frames_sha256 text not null,
    energy_rmse_mev_per_atom double precision not null,
    force_rmse_mev_per_angstrom double precision not null,
    zero_shot boolean not null,
    primary key (model_version, dataset_id, dataset_version, frames_sha256)
);

-- StandardScores, once the errors on every branch are known.
create table standard_scores (
    model_version text not null references models (version),
    standard integer not null references standard_versions (number),
    score jsonb not null,
    scored_at timestamptz not null default now(),
    primary key (model_version, standard)
);

-- Models that an idle worker is to score on the newest standard dataset. The lease is part of the row.
create table scorings (
    model_version text primary key references models (version),
    standard integer not null references standard_versions (number),
    fence bigint not null default 0,
    worker text,
    lease_expires_at timestamptz,
    failures integer not null default 0,
    reason text,
    done_at timestamptz,
    check ((worker is null) = (lease_expires_at is null)),
    check (done_at is null or worker is null)
);

-- Which training frames of a dataset are test frames (indices); null: ingest stored no hashes to tell it from.
create table standard_overlaps (
    dataset_id uuid not null,
    dataset_version integer not null,
    standard integer not null references standard_versions (number),
    training_frames integer[],
    primary key (dataset_id, dataset_version, standard),
    foreign key (dataset_id, dataset_version) references datasets (dataset_id, version)
);

-- Indices of training frames that a round leaves out of a branch, named when it was planned.
alter table round_branches add column left_out_frames integer[] not null default '{}';
