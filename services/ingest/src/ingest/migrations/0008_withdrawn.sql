-- Dataset versions that their contributors took back, also those that are still being read. What trained on them
-- stays, so they go on to decide over the split; but nothing counts as known because of them, and nobody is told of them.
create table withdrawn (
    dataset_id uuid not null,
    version integer not null,
    primary key (dataset_id, version)
);
