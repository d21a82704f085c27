-- Accounts that a provider vouches for, one-time links, sessions that can be told apart, tokens that may do a part and
-- end, and mails that wait to be sent.
alter table people alter column password_hash drop not null;
alter table people add column language text not null default 'en';
alter table people add column mail_when_done boolean not null default false;

-- Somebody as a provider knows them. The provider's id is part of the key: two may use the same subject.
create table identities (
    provider text not null,
    subject text not null,
    person_id uuid not null references people on delete cascade,
    created timestamptz not null default now(),
    primary key (provider, subject)
);
create index identities_person on identities (person_id);

-- A sign-in on its way through a provider, known by the SHA-256 of the secret in the browser's cookie. `subject` is set
-- when the provider has vouched for somebody who has no account yet.
create table sign_in_flows (
    secret_sha256 bytea primary key,
    provider text not null,
    verifier text not null,
    nonce text not null,
    next text not null,
    person_id uuid references people on delete cascade,
    subject text,
    name text not null default '',
    email text not null default '',
    expires timestamptz not null
);
create index sign_in_flows_expires on sign_in_flows (expires);

create table one_time_links (
    secret_sha256 bytea primary key,
    person_id uuid not null references people on delete cascade,
    expires timestamptz not null
);
create index one_time_links_person on one_time_links (person_id);
create index one_time_links_expires on one_time_links (expires);

alter table sessions add column session_id uuid not null unique default gen_random_uuid();
alter table sessions add column device text not null default '';
alter table sessions add column last_seen timestamptz not null default now();
create index sessions_person on sessions (person_id);

alter table tokens add column scopes text[] not null default '{read,contribute,account}';
alter table tokens add column expires timestamptz;

create table mails (
    mail_id bigint generated always as identity primary key,
    recipient text not null,
    subject text not null,
    body text not null,
    created timestamptz not null default now(),
    attempts int not null default 0,
    due timestamptz not null default now()
);
create index mails_due on mails (due);

-- What a person was told of a contribution by mail: never twice, also when the read tables are built anew.
create table notices (
    dataset_id uuid not null,
    version int not null,
    state text not null,
    primary key (dataset_id, version, state)
);
