-- One row a metric run: which dataset was judged by which model, and what came of it.
create table runs (
    run_id uuid primary key default gen_random_uuid(),
    event_id uuid not null unique,
    dataset_id uuid not null,
    dataset_version integer not null,
    model_version text,
    model_manifest jsonb,
    started timestamptz not null default now(),
    finished timestamptz,
    outcome text check (outcome in ('passed', 'covered', 'not-sound')),
    coverage double precision,
    failed_frames integer,
    report jsonb,
    check ((model_version is null) = (model_manifest is null)),
    check ((finished is null) = (outcome is null) and (finished is null) = (report is null))
);

create index runs_by_dataset on runs (dataset_id, dataset_version);
