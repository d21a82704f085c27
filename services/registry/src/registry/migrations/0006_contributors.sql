-- What contributors said of their datasets, also before the metric spoke of them: withdrawn (why), made public (credit).
create table contributors_words (
    dataset_id uuid not null,
    version integer not null check (version > 0),
    withdrawn text,
    credit jsonb,
    primary key (dataset_id, version)
);
