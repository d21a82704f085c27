-- name: insert_run
-- A run of one dataset.validated event; nothing when that event has a run already.
insert into runs (event_id, dataset_id, dataset_version, model_version, model_manifest)
values (%(event_id)s, %(dataset_id)s, %(dataset_version)s, %(model_version)s, %(model_manifest)s)
on conflict (event_id) do nothing

-- name: run_of_event
-- The run of an event, locked until the transaction ends.
select run_id, model_version, model_manifest, finished
from runs where event_id = %(event_id)s
for update

-- name: finish_run
-- Write the outcome once; nothing when it is written already.
update runs
set finished = now(), outcome = %(outcome)s, coverage = %(coverage)s,
    failed_frames = %(failed_frames)s, report = %(report)s
where run_id = %(run_id)s and finished is null
