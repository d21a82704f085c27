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
-- Whose frames those are, of the dataset versions that have a say: those that were found not sound have none.
select known.*, exists (
    select from withdrawn where withdrawn.dataset_id = known.dataset_id and withdrawn.version = known.version
) as withdrawn
from known_datasets as known
where known.source = any(%(sources)s) and not exists (
    select from datasets
    where datasets.dataset_id = known.dataset_id and datasets.version = known.version and datasets.sound is false
);

-- name: keep_verdict
-- The newest word of the metric counts, in whatever order they come.
update datasets set sound = %(sound)s, judged = %(judged)s
where dataset_id = %(dataset_id)s and version = %(version)s and (judged is null or judged <= %(judged)s);

-- name: unremembered
-- The manifest of a dataset version whose frames are not among the known ones, though it was validated.
select manifest from datasets
where dataset_id = %(dataset_id)s and version = %(version)s and state = 'validated' and not exists (
    select from known_datasets where dataset_id = %(dataset_id)s and version = %(version)s
);

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

-- name: note_withdrawn
-- Its contributor took it back, maybe before it is known.
insert into withdrawn (dataset_id, version) values (%(dataset_id)s, %(version)s) on conflict do nothing;

-- name: keep_frames
-- Its frames, a row each.
copy known_frames (hash, source, held_out) from stdin (format binary);

-- name: standard_number
-- Which version of the standard dataset is known here; 0: none.
select number from standard;

-- name: set_standard_number
-- A newer version takes the place of the one before; no row when it is not newer.
update standard set number = %(number)s where number < %(number)s;

-- name: clear_standard_frames
-- Before those of the newer version come.
delete from standard_frames;

-- name: add_standard_frames
-- The frames of the newer version; two datasets may hold the same structure.
insert into standard_frames (hash) select distinct unnest(%(hashes)s::uuid[]);

-- name: frames_in_standard
-- Places (from 1) of those of these frames that are in the standard dataset.
select new.place::integer as place
from unnest(%(hashes)s::uuid[]) with ordinality as new (hash, place)
join standard_frames on standard_frames.hash = new.hash;
