-- What ingest found in an archive that is shared only; until then only its owner may have it.
alter table contributions add column looked_into jsonb;

-- Those that were published before anybody looked: ingest is told of them now.
insert into outbox (subject, type, about, body)
select 'potluck.dataset.shared', 'potluck.dataset.shared.v1', 'dataset/' || dataset_id || '/' || version,
       json_build_object(
           'dataset', json_build_object('dataset_id', dataset_id, 'version', version),
           'archive', json_build_object('key', archive_key, 'sha256', archive_sha256, 'size', archive_size),
           'filename', filename
       )::text
from datasets where not dpa and withdrawn is null
order by created;
