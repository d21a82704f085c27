-- name: begin_dataset
-- Note that reading starts (again); returns nothing when the dataset has an outcome already.
insert into datasets (dataset_id, version, state)
values (%(dataset_id)s, %(version)s, 'reading')
on conflict (dataset_id, version) do update
    set attempts = datasets.attempts + 1, started = now()
    where datasets.state = 'reading'
returning attempts;

-- name: settle_validated
-- The dataset is parsed and stored; no row when it has an outcome already.
update datasets
set state = 'validated', ended = now(), format = %(format)s, content_sha256 = %(content_sha256)s,
    frames = %(frames)s, manifest = %(manifest)s::jsonb
where dataset_id = %(dataset_id)s and version = %(version)s and state = 'reading';

-- name: settle_rejected
-- Nothing usable; rule and reason as the contributor was told. No row when it has an outcome already.
update datasets
set state = 'rejected', ended = now(), rule = %(rule)s, reason = %(reason)s
where dataset_id = %(dataset_id)s and version = %(version)s and state = 'reading';

-- name: dataset
-- What is known of one dataset version.
select * from datasets where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: is_being_read
-- The dataset has no outcome yet, and gets none before this transaction ends.
select true as reading from datasets
where dataset_id = %(dataset_id)s and version = %(version)s and state = 'reading'
for share;

-- name: lock_known_frames
-- One dataset version at a time joins the known ones; lasts until the transaction ends.
select pg_advisory_xact_lock(hashtext('known-frames:' || current_schema()));

-- name: newest_source
-- The number of the dataset version that joined last; 0 when there is none.
select coalesce(max(source), 0) as source from known_datasets;

-- name: frames_elsewhere
-- Which known dataset versions hold which of these frames (places count from 1), by one index scan a frame:
-- `offset 0` keeps the planner from reading the whole table instead.
select known.source, known.held_out, array_agg(new.place::integer) as places
from unnest(%(hashes)s::uuid[]) with ordinality as new (hash, place)
cross join lateral (
    select frame.source, frame.held_out from known_frames as frame where frame.hash = new.hash offset 0
) as known
where known.source > %(after)s
group by known.source, known.held_out
order by known.source, known.held_out;

-- name: sources
-- Whose frames those are.
select * from known_datasets where source = any(%(sources)s);

-- name: keep_source
-- The dataset version joins the known ones, as public when it was made that while it was read.
insert into known_datasets (dataset_id, version, owner_id, private, title)
values (%(dataset_id)s, %(version)s, %(owner_id)s,
        %(private)s and not exists (
            select from made_public where dataset_id = %(dataset_id)s and version = %(version)s
        ),
        %(title)s)
returning source;

-- name: note_public
-- Its contributor made it public, maybe before it is known.
insert into made_public (dataset_id, version) values (%(dataset_id)s, %(version)s) on conflict do nothing;

-- name: make_public
-- It may be named to others from now on.
update known_datasets set private = false, title = %(title)s
where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: keep_frames
-- Its frames, a row each.
copy known_frames (hash, source, held_out) from stdin (format binary);
