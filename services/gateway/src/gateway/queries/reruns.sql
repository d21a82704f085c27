-- name: insert_rerun
-- No row when that run is being repeated already, or the key was used before.
insert into reruns (rerun_id, dataset_id, version, run_id, requested_by, idempotency_key)
values (%(rerun_id)s, %(dataset_id)s, %(version)s, %(run_id)s, %(person_id)s, %(idempotency_key)s)
on conflict do nothing
returning rerun_id;

-- name: lock_reruns_of
-- Requests of one person are counted one after the other.
select pg_advisory_xact_lock(hashtext('reruns:' || %(person_id)s::text));

-- name: count_reruns_of
-- How many a person asked for within the window, and in how many seconds the oldest leaves it.
select count(*) as requests,
       extract(epoch from min(requested) + make_interval(secs => %(window_seconds)s) - clock_timestamp())
           as free_in_seconds
from reruns
where requested_by = %(person_id)s and requested > clock_timestamp() - make_interval(secs => %(window_seconds)s);

-- name: rerun_by_key
select rerun_id, dataset_id from reruns where requested_by = %(person_id)s and idempotency_key = %(idempotency_key)s;

-- name: reruns
-- Newest first.
select dataset_id, version, rerun_id, run_id, requested, finished, finished_at, failed from reruns
where (dataset_id, version) in (select * from unnest(%(dataset_ids)s::uuid[], %(versions)s::int[]))
order by requested desc, rerun_id;

-- name: finish_rerun
-- Also one that was asked for elsewhere.
insert into reruns (rerun_id, dataset_id, version, run_id, requested, finished, finished_at)
values (%(rerun_id)s, %(dataset_id)s, %(version)s, %(run_id)s, %(at)s, %(event)s, %(at)s)
on conflict (rerun_id) do update set finished = excluded.finished, finished_at = excluded.finished_at, failed = null
where reruns.finished is null or (reruns.finished_at, reruns.finished) <= (excluded.finished_at, excluded.finished);

-- name: give_up_rerun
update reruns set failed = %(reason)s where rerun_id = %(rerun_id)s and finished is null;
