-- How far ingest has come with a contribution: the latest word only, none once the outcome is known.
alter table contributions add column reading jsonb;
alter table contributions add column reading_at timestamptz;

-- When it joined the line for the check, and when a worker took it: places and waiting times come from these.
alter table contributions add column validated_at timestamptz;
alter table contributions add column metric_started_at timestamptz;
create index contributions_metric_at on contributions (metric_at desc) where metric_started_at is not null;

-- Of the metric report: its tables (name to object) and what pages show of it.
alter table contributions add column tables jsonb;
alter table contributions add column report jsonb;

-- Repetitions of a metric run that somebody asked for. `finished`: the event; `failed`: why it was given up.
create table reruns (
    rerun_id uuid primary key,
    dataset_id uuid not null,
    version int not null,
    run_id uuid not null,
    requested_by uuid references people,
    idempotency_key text,
    requested timestamptz not null default clock_timestamp(),
    finished jsonb,
    finished_at timestamptz,
    failed text
);
create unique index reruns_open on reruns (run_id) where finished is null and failed is null;
create unique index reruns_idempotency on reruns (requested_by, idempotency_key) where idempotency_key is not null;
create index reruns_dataset on reruns (dataset_id, version, requested desc);
create index reruns_person on reruns (requested_by, requested);
