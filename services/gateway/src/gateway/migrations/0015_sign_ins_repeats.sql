-- Signing a program in by the browser, and creating requests that may be repeated.

-- A program that waits for a person's word, known by the SHA-256 of its secret; the person types (or follows) the short
-- code, of which only the SHA-256 is kept, too. address: where the program asked from, which the person is shown.
create table program_sign_ins (
    secret_sha256 bytea primary key,
    code_sha256 bytea not null unique,
    label text not null,
    address text not null,
    scopes text[] not null,
    days int,
    state text not null default 'waiting' check (state in ('waiting', 'approved', 'denied')),
    person_id uuid references people on delete cascade,
    created timestamptz not null default now(),
    expires timestamptz not null,
    asked timestamptz
);
create index program_sign_ins_expires on program_sign_ins (expires);

-- What a creating request was answered with, for its repetition under the same Idempotency-Key. status null: under way.
-- shown_once: the answer held a secret and is not kept; `headers` then has the Location of what was made.
create table idempotency_keys (
    person_id uuid not null references people on delete cascade,
    key text not null,
    request_sha256 text not null,
    begun timestamptz not null default clock_timestamp(),
    status int,
    headers jsonb not null default '{}',
    body bytea not null default '',
    shown_once boolean not null default false,
    primary key (person_id, key)
);
create index idempotency_keys_begun on idempotency_keys (begun);
