-- A run keeps what it takes to repeat it, and how many workers died over it since one last ended a try.
alter table runs
    add column dataset_manifest jsonb,
    add column dataset_content_sha256 text,
    add column settings jsonb,
    add column versions jsonb,
    add column seed integer,
    add column device text,
    add column open_tries integer not null default 0;

-- One row a repetition of a run; what could not be repeated has no outcome.
create table reruns (
    rerun_id uuid primary key,
    run_id uuid not null,
    requested timestamptz not null default now(),
    repeated boolean not null,
    same boolean not null,
    sentence text not null,
    outcome_before text check (outcome_before in ('passed', 'covered', 'not-sound')),
    outcome_after text check (outcome_after in ('passed', 'covered', 'not-sound')),
    numbers integer not null,
    differing integer not null,
    largest_relative_difference double precision not null,
    versions_changed jsonb not null,
    report jsonb,
    check (repeated or not same),
    check (repeated = (report is not null) and repeated = (outcome_before is not null)
        and repeated = (outcome_after is not null))
);

create index reruns_by_run on reruns (run_id);
