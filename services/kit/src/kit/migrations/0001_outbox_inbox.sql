-- Facts that wait to be published, in order. A row is deleted when JetStream has acknowledged it.
create table outbox (
    seq bigint generated always as identity primary key,
    id uuid not null unique default gen_random_uuid(),
    subject text not null,
    type text not null,
    about text not null,
    occurred timestamptz not null default clock_timestamp(),
    traceparent text,
    body text not null
);

create function outbox_notify() returns trigger language plpgsql as $$
begin
    perform pg_notify('outbox_' || tg_table_schema, '');
    return null;
end
$$;

create trigger outbox_notify after insert on outbox for each statement execute function outbox_notify();

-- Which event each consumer has already handled: a redelivery is recognised here.
create table inbox (
    consumer text not null,
    event_id uuid not null,
    handled timestamptz not null default now(),
    primary key (consumer, event_id)
);
