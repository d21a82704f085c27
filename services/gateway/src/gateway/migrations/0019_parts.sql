-- An upload whose bytes arrive side by side: parts, each an upload that is `partial`, and once they are put together
-- the upload of the first, with the others (`parts`, in order, and their sizes) waiting on the disk to be appended.
alter table uploads
    add column partial boolean not null default false,
    add column part_number integer,
    add column part_count integer,
    add column parts uuid[] not null default '{}',
    add column part_sizes bigint[] not null default '{}';
