-- name: lock_uploads_of
-- Uploads of one person begin one after the other: two at once would both find the last room.
select pg_advisory_xact_lock(hashtext('uploads:' || %(owner_id)s::text));

-- name: usage
-- What a person has here: uploads that are not published with all the bytes that they will have, and archives.
select count(*) filter (where not partial) as whole_uploads, count(*) filter (where partial) as parts,
       coalesce(sum(size) filter (where partial), 0)::bigint as part_bytes, coalesce(sum(size), 0)::bigint as open_bytes,
       (select coalesce(sum(archive_size), 0)::bigint from datasets where owner_id = %(owner_id)s) as stored_bytes
from uploads
where owner_id = %(owner_id)s and not exists (select from datasets where datasets.upload_id = uploads.upload_id);

-- name: insert_upload
insert into uploads (upload_id, owner_id, filename, size, region, placed, ticket_sha256, partial, part_number, part_count)
values (%(upload_id)s, %(owner_id)s, %(filename)s, %(size)s, %(region)s, %(placed)s, %(ticket_sha256)s,
        %(partial)s, %(part_number)s, %(part_count)s);

-- name: place_upload
update uploads set placed = true where upload_id = %(upload_id)s;

-- name: upload
select upload_id, uploads.owner_id, uploads.filename, size, sha256, uploads.created, touched, dataset_id,
       uploads.region, placed, received, ticket_sha256, partial, part_number, part_count, parts, part_sizes
from uploads left join datasets using (upload_id)
where upload_id = %(upload_id)s;

-- name: lock_upload
select upload_id from uploads where upload_id = %(upload_id)s for update;

-- name: touch_upload
update uploads set touched = now(), received = %(received)s where upload_id = %(upload_id)s;

-- name: finish_upload
update uploads set sha256 = %(sha256)s, touched = now() where upload_id = %(upload_id)s;

-- name: delete_upload
-- Only while no entry was published from it.
delete from uploads where upload_id = %(upload_id)s
and not exists (select from datasets where datasets.upload_id = uploads.upload_id)
returning parts;

-- name: upload_of_file
-- The upload that a file on the disk belongs to: itself, or the one that it is a part of.
select upload_id from uploads where upload_id = %(upload_id)s or %(upload_id)s = any(parts);

-- name: lock_parts
-- In one order for all, whichever the parts have.
select upload_id, uploads.owner_id, uploads.filename, size, sha256, uploads.created, touched, null::uuid as dataset_id,
       uploads.region, placed, received, ticket_sha256, partial, part_number, part_count, parts, part_sizes
from uploads where upload_id = any(%(upload_ids)s) and owner_id = %(owner_id)s
order by upload_id for update;

-- name: join_parts
-- The first takes the others in: their rows end, their files wait.
with taken as (delete from uploads where upload_id = any(%(parts)s))
update uploads set partial = false, size = %(size)s, sha256 = null, parts = %(parts)s, part_sizes = %(part_sizes)s,
                   filename = coalesce(%(filename)s, filename), received = %(size)s, touched = now()
where upload_id = %(upload_id)s;

-- name: expired_uploads
-- A part waits for the others: none expires while its owner sends one.
select upload_id, region from uploads
where touched < now() - make_interval(secs => %(seconds)s)
  and not (partial and exists (select from uploads as other
                               where other.owner_id = uploads.owner_id and other.partial
                                 and other.touched >= now() - make_interval(secs => %(seconds)s)))
  and not exists (select from datasets where datasets.upload_id = uploads.upload_id);

-- name: unpublished_uploads
-- What a person may still resume or publish, newest first.
select upload_id, uploads.owner_id, uploads.filename, size, sha256, uploads.created, touched, dataset_id,
       uploads.region, placed, received, ticket_sha256, partial, part_number, part_count, parts, part_sizes
from uploads left join datasets using (upload_id)
where uploads.owner_id = %(owner_id)s and dataset_id is null
order by uploads.created desc;
