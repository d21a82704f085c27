-- Workers as they announced themselves, so that a round goes only to one that can run it, and nobody waits in silence.
create table workers (
    worker_id text primary key,
    hostname text not null,
    gpus jsonb not null,
    cpu_name text not null,
    cpu_cores integer not null,
    memory_bytes bigint not null,
    presets text[] not null,
    deepmd_version text not null,
    torch_version text not null,
    launcher text not null,
    processes integer not null,
    first_seen timestamptz not null default now(),
    last_seen timestamptz not null default now(),
    -- Why the last round that waited was not offered to it.
    refusal text
);

create index workers_last_seen on workers (last_seen);

-- What trained a version: its descendants are trained with the same, unless a preset says otherwise.
alter table models add column deepmd_version text;

-- What the waiting round waits for, as contributors were told; null while a live worker can run it.
alter table rounds add column held_up text;
