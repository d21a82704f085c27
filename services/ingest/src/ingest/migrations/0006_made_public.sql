-- Dataset versions that were private and were made public since, also those that are still being read.
create table made_public (
    dataset_id uuid not null,
    version integer not null,
    primary key (dataset_id, version)
);
