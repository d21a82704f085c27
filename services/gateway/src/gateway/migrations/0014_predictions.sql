-- One row a structure that somebody wants predicted; deleted with its objects after a day.
-- requester: 'person:<id>' or 'address:<hash>', to count by and for nothing else.
create table predictions (
    prediction_id uuid primary key,
    model_version text not null,
    requester text not null,
    requested timestamptz not null default clock_timestamp(),
    sent boolean not null default false,
    finished timestamptz,
    result jsonb,
    reason text,
    remedy text,
    check ((finished is not null) = (result is not null or reason is not null)),
    check (result is null or reason is null)
);

create index predictions_by_requester on predictions (requester, requested);
create index predictions_waiting on predictions (requested) where finished is null;
