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
