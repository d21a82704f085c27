-- Whose frames are known: dataset versions that were validated. Numbers are given in the order of their commits.
create table known_datasets (
    source integer generated always as identity primary key,
    dataset_id uuid not null,
    version integer not null check (version >= 1),
    owner_id uuid not null,
    private boolean not null,
    title text not null,
    unique (dataset_id, version)
);

-- Every frame of those: the first half of its hash, and whether that dataset holds it out of training.
-- No foreign key: rows come by the million, from one statement that has just made the source.
create table known_frames (
    hash uuid not null,
    source integer not null,
    held_out boolean not null
);

-- Most frames of a new dataset are in no other one, which this index alone tells. B-tree: a dataset's frames are
-- looked up and inserted in ascending order, so that each page is visited once.
create index known_frames_hash on known_frames (hash);
