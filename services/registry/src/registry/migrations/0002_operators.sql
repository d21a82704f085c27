-- Operators steer growth: pause, cancel, look for what made a round fail, withdraw datasets, weigh them.

alter table datasets drop constraint datasets_state_check;
alter table datasets add constraint datasets_state_check check (
    state in ('waiting', 'reserved', 'training', 'published', 'withheld', 'failed', 'withdrawn')
);
-- In place of the square root of the training frames.
alter table datasets add column relative_weight double precision check (relative_weight > 0);

alter table rounds drop constraint rounds_state_check;
alter table rounds add constraint rounds_state_check check (
    state in ('waiting', 'training', 'published', 'withheld', 'failed', 'cancelled')
);
alter table rounds drop constraint rounds_check1;
alter table rounds add constraint rounds_ended check (
    (state in ('published', 'withheld', 'failed', 'cancelled')) = (ended_at is not null)
);

-- One row: while it is paused nothing is planned and nothing leased.
create table line (
    one boolean primary key default true check (one),
    paused_at timestamptz,
    reason text,
    check ((paused_at is null) = (reason is null))
);
insert into line default values;

-- The search for what made a round end without a model: by halves ('bisect') or without one dataset ('rerun').
create table inquiries (
    inquiry_id uuid primary key,
    sequence bigint generated always as identity unique,
    kind text not null check (kind in ('bisect', 'rerun')),
    round_id uuid not null references rounds (round_id),
    begun_at timestamptz not null default now(),
    ended_at timestamptz,
    outcome text,
    check ((ended_at is null) = (outcome is null))
);

create unique index inquiries_one_open on inquiries ((true)) where ended_at is null;

-- Datasets that are trained together in one ordinary round. `members` are datasets' arrivals.
create table inquiry_groups (
    inquiry_id uuid not null references inquiries (inquiry_id),
    number integer not null,
    members bigint[] not null check (cardinality(members) > 0),
    state text not null check (state in ('pending', 'training', 'published', 'split', 'set-aside', 'released')),
    sibling integer,
    suspected boolean not null,
    round_id uuid references rounds (round_id),
    primary key (inquiry_id, number)
);

create index inquiry_groups_round on inquiry_groups (round_id);

alter table models add column retired_at timestamptz;
alter table models add column retired_reason text;
alter table models add constraint models_retired check ((retired_at is null) = (retired_reason is null));

alter table alias_moves add column kind text not null default 'publication'
    check (kind in ('publication', 'move', 'rollback'));
alter table alias_moves alter column kind drop default;
