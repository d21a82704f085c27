-- What a round cost, what it did for each dataset (signed), and the keys that signed.

-- Null in rows from before.
alter table datasets add column content_sha256 text;

-- What each attempt of a round used, as its worker last told; of a lost one up to its last heartbeat.
create table attempts (
    round_id uuid not null references rounds (round_id),
    fence bigint not null,
    core_seconds double precision not null check (core_seconds >= 0),
    gpu_seconds double precision not null check (gpu_seconds >= 0),
    cpu_joules double precision check (cpu_joules >= 0),
    gpu_joules double precision check (gpu_joules >= 0),
    told_at timestamptz not null default now(),
    primary key (round_id, fence)
);

-- Receipts of contributions as they were signed: one a dataset and decided round. Rows are only added.
create table receipts (
    round_id uuid not null references rounds (round_id),
    dataset_id uuid not null,
    dataset_version integer not null,
    key_id text not null,
    document text not null,
    primary key (round_id, dataset_id, dataset_version),
    foreign key (dataset_id, dataset_version) references datasets (dataset_id, version)
);

-- Public keys. The one without `until` signs; earlier ones stay, since what they signed stays valid.
create table signing_keys (
    key_id text primary key,
    public_key text not null,
    since timestamptz not null default now(),
    until timestamptz
);
