-- Where people have public events sent. The secret is kept as it is: every delivery is signed with it.
create table webhooks (
    webhook_id uuid primary key default gen_random_uuid(),
    person_id uuid not null references people on delete cascade,
    url text not null,
    types text[] not null,
    secret text not null,
    created timestamptz not null default now(),
    failing_since timestamptz,
    disabled timestamptz,
    disabled_reason text not null default ''
);
create index webhooks_person on webhooks (person_id);

-- One event for one webhook. `claimed_until`: a replica sends it now. Sent again, it keeps its event's id.
create table webhook_deliveries (
    delivery_id bigint generated always as identity primary key,
    webhook_id uuid not null references webhooks on delete cascade,
    event_id uuid not null,
    type text not null,
    about text not null,
    body text not null,
    created timestamptz not null default clock_timestamp(),
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
    attempts int not null default 0,
    due timestamptz not null default now(),
    claimed_until timestamptz,
    tried timestamptz,
    status int,
    problem text not null default '',
    seconds real,
    unique (webhook_id, event_id)
);
create index webhook_deliveries_due on webhook_deliveries (due) where state = 'waiting';
create index webhook_deliveries_claimed on webhook_deliveries (webhook_id, claimed_until) where claimed_until is not null;
