-- name: insert_run
-- A run of one dataset.validated event; nothing when that event has a run already.
insert into runs (
    event_id, dataset_id, dataset_version, dataset_manifest, dataset_content_sha256, model_version, model_manifest
)
values (
    %(event_id)s, %(dataset_id)s, %(dataset_version)s, %(dataset_manifest)s, %(content_sha256)s,
    %(model_version)s, %(model_manifest)s
)
on conflict (event_id) do nothing

-- name: open_try
-- The run of an event, locked until the transaction ends, with one more try that has not ended unless it is finished;
-- a run of before manifests were kept gets its own.
update runs
set open_tries = case when finished is null then open_tries + 1 else 0 end,
    dataset_manifest = coalesce(dataset_manifest, %(dataset_manifest)s),
    dataset_content_sha256 = coalesce(dataset_content_sha256, %(content_sha256)s)
where event_id = %(event_id)s
returning run_id, model_version, model_manifest, finished, open_tries

-- name: end_tries
-- A try has ended, whatever came of it: nobody died.
update runs set open_tries = 0 where run_id = %(run_id)s

-- name: finish_run
-- Write the outcome once; nothing when it is written already.
update runs
set finished = now(), outcome = %(outcome)s, coverage = %(coverage)s, failed_frames = %(failed_frames)s,
    report = %(report)s, settings = %(settings)s, versions = %(versions)s, seed = %(seed)s, device = %(device)s,
    open_tries = 0
where run_id = %(run_id)s and finished is null

-- name: run_to_repeat
-- What a repetition starts from.
select run_id, dataset_manifest, model_version, model_manifest, outcome, report
from runs where run_id = %(run_id)s

-- name: insert_rerun
-- What came of a repetition, once.
insert into reruns (
    rerun_id, run_id, repeated, same, sentence, outcome_before, outcome_after, numbers, differing,
    largest_relative_difference, versions_changed, report
)
values (
    %(rerun_id)s, %(run_id)s, %(repeated)s, %(same)s, %(sentence)s, %(outcome_before)s, %(outcome_after)s,
    %(numbers)s, %(differing)s, %(largest_relative_difference)s, %(versions_changed)s, %(report)s
)
on conflict (rerun_id) do nothing
