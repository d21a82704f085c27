-- When facts were told, so that the newest word counts in whatever order they arrive.
alter table contributions add column rejected_at timestamptz, add column looked_into_at timestamptz;
alter table rounds add column last_event timestamptz, add column waits_for_at timestamptz;
alter table round_datasets add column released_at timestamptz;

-- Every attempt's beginning: which points of the curve a later one overtakes does not depend on what is heard first.
create table round_starts (
    round_id uuid not null references rounds,
    attempt int not null,
    resumed_from int not null,
    worker text not null,
    started_at timestamptz,
    primary key (round_id, attempt)
);
insert into round_starts (round_id, attempt, resumed_from, worker, started_at)
select round_id, attempt, resumed_from, worker, started_at from rounds where worker is not null;
