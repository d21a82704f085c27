-- Signed receipts of contributions, as the registry issued them: text, since the signature is over their bytes.
create table receipts (
    dataset_id uuid not null,
    version integer not null,
    round_id uuid not null,
    issued timestamptz not null,
    document text not null,
    primary key (dataset_id, version, round_id)
);
