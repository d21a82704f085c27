-- Of two words about the same, the one that was told later counts, and of two of one moment the larger: what the read
-- tables hold after a number of events does not depend on their order.

-- name: ensure_contribution
insert into contributions (dataset_id, version) values (%(dataset_id)s, %(version)s) on conflict do nothing;

-- name: lock_contribution
-- The latest round's facts come along; whoever holds the lock sees every fact that committed before.
select dataset_id, version, last_event, held_up, held_up_at, stage, state, verdict from contributions
where dataset_id = %(dataset_id)s and version = %(version)s for update;

-- name: set_reading
-- The newest word replaces the one before; none once the outcome is known, whatever arrives late.
update contributions set
    reading = case when validated is null and rejected is null and (reading_at is null or reading_at < %(at)s)
                   then %(event)s else reading end,
    reading_at = greatest(reading_at, %(at)s::timestamptz),
    last_event = greatest(last_event, %(at)s::timestamptz)
where dataset_id = %(dataset_id)s and version = %(version)s
returning validated is null and rejected is null and reading_at = %(at)s as shown;

-- name: reading
select reading, position from contributions where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: set_validated
update contributions set validated = %(event)s, validated_at = %(at)s, reading = null
where dataset_id = %(dataset_id)s and version = %(version)s
  and (validated is null or validated_at is null or (validated_at, validated) < (%(at)s, %(event)s));

-- name: set_rejected
update contributions set rejected = %(event)s, rejected_at = %(at)s, reading = null
where dataset_id = %(dataset_id)s and version = %(version)s
  and (rejected is null or rejected_at is null or (rejected_at, rejected) < (%(at)s, %(event)s));

-- name: set_looked_into
update contributions set looked_into = %(event)s, looked_into_at = %(at)s
where dataset_id = %(dataset_id)s and version = %(version)s
  and (looked_into is null or looked_into_at is null or (looked_into_at, looked_into) < (%(at)s, %(event)s));

-- name: set_metric_started
-- After a worker died another one starts: the time counts from there.
update contributions set metric_started = %(event)s, metric_started_at = %(at)s
where dataset_id = %(dataset_id)s and version = %(version)s
  and (metric_started is null or metric_started_at is null
       or (metric_started_at, metric_started) < (%(at)s, %(event)s));

-- name: set_metric
update contributions set metric = %(event)s, metric_at = %(at)s, pictures = %(pictures)s, tables = %(tables)s,
    report = %(report)s
where dataset_id = %(dataset_id)s and version = %(version)s
  and (metric_at is null or (metric_at, metric) < (%(at)s, %(event)s));

-- name: facts
select c.validated is not null as validated, c.rejected is not null as rejected,
       c.metric_started is not null as checking, c.metric ->> 'outcome' as outcome, r.round,
       r.released ->> 'outcome' as released, not coalesce(d.dpa, true) as shared_only,
       d.withdrawn is not null as withdrawn
from contributions c
left join datasets d using (dataset_id, version)
left join lateral (
    select to_jsonb(rounds) as round, released from round_datasets join rounds using (round_id)
    where round_datasets.dataset_id = c.dataset_id and round_datasets.version = c.version
    order by queued_at desc, round_id limit 1
) r on true
where c.dataset_id = %(dataset_id)s and c.version = %(version)s;

-- name: set_standing
-- The last event is the contribution's own or one of its rounds', also of before the round was known to be its.
-- An event that is newer than what held the contribution up clears that.
with newest as (
    select greatest(last_event, %(at)s::timestamptz, (
        select max(rounds.last_event) from round_datasets join rounds using (round_id)
        where round_datasets.dataset_id = contributions.dataset_id and round_datasets.version = contributions.version
    )) as at
    from contributions where dataset_id = %(dataset_id)s and version = %(version)s
)
update contributions
set stage = %(stage)s, state = %(state)s, verdict = %(verdict)s, last_event = newest.at,
    held_up = case when held_up_at < newest.at then null else held_up end
from newest
where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: hold_up
-- Not when something has moved on since.
update contributions set held_up = %(reason)s, held_up_at = %(at)s
where dataset_id = %(dataset_id)s and version = %(version)s and (last_event is null or last_event <= %(at)s);

-- name: append_log
-- Positions are without gaps because the caller holds the contribution's row.
with next as (
    update contributions set position = position + 1
    where dataset_id = %(dataset_id)s and version = %(version)s returning position
)
insert into contribution_log (dataset_id, version, position, data)
select %(dataset_id)s, %(version)s, position, %(data)s from next;

-- name: notify
select pg_notify('gateway_feed', %(topic)s);

-- name: log_after
select position, data from contribution_log
where dataset_id = %(dataset_id)s and version = %(version)s and position > %(position)s
order by position limit %(limit)s;

-- name: position
select position from contributions where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: ensure_round
insert into rounds (round_id) values (%(round_id)s) on conflict do nothing;

-- name: lock_round
-- Whoever holds the lock has heard an event of the round.
update rounds set last_event = greatest(last_event, %(at)s::timestamptz) where round_id = %(round_id)s;

-- name: set_queued
update rounds set queued = %(event)s, queued_at = %(at)s
where round_id = %(round_id)s
  and (queued is null or queued_at is null or (queued_at, queued) <= (%(at)s, %(event)s));

-- name: add_round_dataset
-- `newest`: nothing later was told of the round's planning.
insert into round_datasets (round_id, dataset_id, version, branch)
values (%(round_id)s, %(dataset_id)s, %(version)s, %(branch)s)
on conflict (round_id, dataset_id, version) do update set branch = excluded.branch
where %(newest)s or round_datasets.branch = '';

-- name: set_released
-- The fact may come before that of the round's planning, which then adds the branch.
insert into round_datasets (round_id, dataset_id, version, branch, released, released_at)
values (%(round_id)s, %(dataset_id)s, %(version)s, '', %(event)s, %(at)s)
on conflict (round_id, dataset_id, version) do update
set released = excluded.released, released_at = excluded.released_at
where round_datasets.released is null or round_datasets.released_at is null
   or (round_datasets.released_at, round_datasets.released) < (excluded.released_at, excluded.released);

-- name: set_started
insert into round_starts (round_id, attempt, resumed_from, worker, started_at)
values (%(round_id)s, %(attempt)s, %(resumed_from)s, %(worker)s, %(at)s)
on conflict (round_id, attempt) do update
set resumed_from = excluded.resumed_from, worker = excluded.worker, started_at = excluded.started_at
where round_starts.started_at is null
   or (round_starts.started_at, round_starts.worker, round_starts.resumed_from)
      < (excluded.started_at, excluded.worker, excluded.resumed_from);

-- name: set_latest_start
update rounds set attempt = greatest(rounds.attempt, latest.attempt), worker = latest.worker,
    resumed_from = latest.resumed_from, started_at = latest.started_at
from (select * from round_starts where round_id = %(round_id)s order by attempt desc limit 1) as latest
where rounds.round_id = latest.round_id;

-- name: drop_overtaken_points
-- What an earlier attempt told beyond the step from which a later one resumed will be told again.
delete from curve_points using round_starts as later
where curve_points.round_id = %(round_id)s and later.round_id = curve_points.round_id
  and later.attempt > curve_points.attempt and later.resumed_from < curve_points.step;

-- name: set_progress
update rounds set progress = %(event)s, attempt = greatest(attempt, %(attempt)s)
where round_id = %(round_id)s
  and (progress is null
       or ((progress ->> 'attempt')::int, (progress ->> 'step')::int, progress) < (%(attempt)s, %(step)s, %(event)s));

-- name: add_point
-- Not beyond the step from which a later attempt resumed.
insert into curve_points (round_id, branch, step, attempt, energy_rmse_mev_per_atom, force_rmse_mev_per_angstrom)
select %(round_id)s, %(branch)s, %(step)s, %(attempt)s, %(energy)s, %(force)s
where not exists (
    select from round_starts
    where round_id = %(round_id)s and attempt > %(attempt)s and resumed_from < %(step)s
)
on conflict (round_id, branch, step) do update
set attempt = excluded.attempt, energy_rmse_mev_per_atom = excluded.energy_rmse_mev_per_atom,
    force_rmse_mev_per_angstrom = excluded.force_rmse_mev_per_angstrom
where (curve_points.attempt, curve_points.force_rmse_mev_per_angstrom, curve_points.energy_rmse_mev_per_atom)
    < (excluded.attempt, excluded.force_rmse_mev_per_angstrom, excluded.energy_rmse_mev_per_atom);

-- name: set_failed
update rounds set failed = %(event)s
where round_id = %(round_id)s
  and (failed is null or ((failed ->> 'attempt')::int, failed) < (%(attempt)s, %(event)s));

-- name: set_waits_for
update rounds set waits_for = %(event)s, waits_for_at = %(at)s
where round_id = %(round_id)s
  and (waits_for is null or (waits_for ->> 'attempt')::int < %(attempt)s
       or (waits_for ->> 'attempt')::int = %(attempt)s
          and (waits_for_at is null or (waits_for_at, waits_for) < (%(at)s, %(event)s)));

-- name: set_finished
update rounds set finished = %(event)s
where round_id = %(round_id)s
  and (finished is null or ((finished ->> 'attempt')::int, finished) < ((%(event)s ->> 'attempt')::int, %(event)s));

-- name: set_published
-- Told once of a round.
update rounds set published = %(event)s
where round_id = %(round_id)s and (published is null or published < %(event)s);

-- name: set_withheld
-- Told once of a round.
update rounds set withheld = %(event)s
where round_id = %(round_id)s and (withheld is null or withheld < %(event)s);

-- name: datasets_of_round
-- In one order everywhere, so that two handlers cannot lock them crosswise.
select dataset_id, version from round_datasets where round_id = %(round_id)s order by dataset_id, version;

-- name: insert_model
insert into models (version, published, event) values (%(version)s, %(published)s, %(event)s)
on conflict (version) do update set published = excluded.published, event = excluded.event
where (excluded.published, excluded.event) < (models.published, models.event);

-- name: model_versions
-- Newest first: versions are compared as numbers.
select version from models order by string_to_array(version, '.')::int[] desc;

-- name: insert_standard_version
insert into standard_versions (number, released, event) values (%(number)s, %(released)s, %(event)s)
on conflict (number) do update set released = excluded.released, event = excluded.event
where (excluded.released, excluded.event) < (standard_versions.released, standard_versions.event);

-- name: insert_standard_score
-- The first score counts: a version's files do not change.
insert into standard_scores (version, standard, scored, score) values (%(version)s, %(standard)s, %(scored)s, %(score)s)
on conflict (version, standard) do update set scored = excluded.scored, score = excluded.score
where (excluded.scored, excluded.score) < (standard_scores.scored, standard_scores.score);

-- name: newest_standard
select number, released, event from standard_versions order by number desc limit 1;

-- name: standard_history
-- Every model with its score on the newest standard dataset that it was scored on, newest version first.
select models.version, models.published, newest.score
from models
left join lateral (
    select score from standard_scores where standard_scores.version = models.version order by standard desc limit 1
) as newest on true
order by string_to_array(models.version, '.')::int[] desc;

-- name: private_datasets
-- Of these, the ones of which no version is public now.
select dataset_id from datasets where dataset_id = any(%(dataset_ids)s) group by dataset_id having bool_and(private);

-- name: withdrawn_datasets
-- Of these, the ones that were withdrawn.
select distinct dataset_id from datasets where withdrawn is not null and dataset_id = any(%(dataset_ids)s);
