-- name: ensure_contribution
insert into contributions (dataset_id, version) values (%(dataset_id)s, %(version)s) on conflict do nothing;

-- name: lock_contribution
-- The latest round's facts come along; whoever holds the lock sees every fact that committed before.
select dataset_id, version, last_event, held_up, held_up_at, stage, state, verdict from contributions
where dataset_id = %(dataset_id)s and version = %(version)s for update;

-- name: set_reading
-- The newest word replaces the one before; none once the outcome is known, whatever arrives late.
update contributions set reading = %(event)s, reading_at = %(at)s,
    last_event = greatest(last_event, %(at)s::timestamptz)
where dataset_id = %(dataset_id)s and version = %(version)s and validated is null and rejected is null
  and (reading_at is null or reading_at < %(at)s);

-- name: reading
select reading, position from contributions where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: set_validated
update contributions set validated = %(event)s, validated_at = %(at)s, reading = null
where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: set_rejected
update contributions set rejected = %(event)s, reading = null
where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: set_looked_into
update contributions set looked_into = %(event)s
where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: set_metric_started
-- After a worker died another one starts: the time counts from there.
update contributions set metric_started = %(event)s,
    metric_started_at = greatest(metric_started_at, %(at)s::timestamptz)
where dataset_id = %(dataset_id)s and version = %(version)s;

-- name: set_metric
-- The first outcome stays; only a later one replaces it.
update contributions set metric = %(event)s, metric_at = %(at)s, pictures = %(pictures)s, tables = %(tables)s,
    report = %(report)s
where dataset_id = %(dataset_id)s and version = %(version)s and (metric_at is null or metric_at <= %(at)s);

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
    order by queued_at desc limit 1
) r on true
where c.dataset_id = %(dataset_id)s and c.version = %(version)s;

-- name: set_standing
-- An event that is newer than what held the contribution up clears that.
update contributions
set stage = %(stage)s, state = %(state)s, verdict = %(verdict)s,
    last_event = greatest(last_event, %(at)s::timestamptz),
    held_up = case when held_up_at < %(at)s::timestamptz then null else held_up end
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
select round_id from rounds where round_id = %(round_id)s for update;

-- name: set_queued
update rounds set queued = %(event)s, queued_at = %(at)s where round_id = %(round_id)s;

-- name: add_round_dataset
insert into round_datasets (round_id, dataset_id, version, branch)
values (%(round_id)s, %(dataset_id)s, %(version)s, %(branch)s)
on conflict (round_id, dataset_id, version) do update set branch = excluded.branch;

-- name: set_released
-- The fact may come before that of the round's planning, which then adds the branch.
insert into round_datasets (round_id, dataset_id, version, branch, released)
values (%(round_id)s, %(dataset_id)s, %(version)s, '', %(event)s)
on conflict (round_id, dataset_id, version) do update set released = excluded.released;

-- name: set_started
update rounds set attempt = %(attempt)s, worker = %(worker)s, resumed_from = %(resumed_from)s, started_at = %(at)s
where round_id = %(round_id)s and attempt <= %(attempt)s;

-- name: drop_overtaken_points
-- What an earlier attempt told beyond the step from which this one resumed will be told again.
delete from curve_points using rounds
where curve_points.round_id = %(round_id)s and rounds.round_id = curve_points.round_id
  and curve_points.attempt < rounds.attempt and curve_points.step > rounds.resumed_from;

-- name: set_progress
update rounds set progress = %(event)s, attempt = greatest(attempt, %(attempt)s)
where round_id = %(round_id)s and attempt <= %(attempt)s
  and (progress is null or ((progress ->> 'attempt')::int, (progress ->> 'step')::int) < (%(attempt)s, %(step)s));

-- name: add_point
insert into curve_points (round_id, branch, step, attempt, energy_rmse_mev_per_atom, force_rmse_mev_per_angstrom)
select round_id, %(branch)s, %(step)s, %(attempt)s, %(energy)s, %(force)s from rounds
where round_id = %(round_id)s and not (%(attempt)s < attempt and %(step)s > resumed_from)
on conflict (round_id, branch, step) do update
set attempt = excluded.attempt, energy_rmse_mev_per_atom = excluded.energy_rmse_mev_per_atom,
    force_rmse_mev_per_angstrom = excluded.force_rmse_mev_per_angstrom
where curve_points.attempt <= excluded.attempt;

-- name: set_failed
update rounds set failed = %(event)s
where round_id = %(round_id)s and (failed is null or (failed ->> 'attempt')::int <= %(attempt)s);

-- name: set_waits_for
update rounds set waits_for = %(event)s
where round_id = %(round_id)s and (waits_for is null or (waits_for ->> 'attempt')::int <= %(attempt)s);

-- name: set_finished
update rounds set finished = %(event)s where round_id = %(round_id)s;

-- name: set_published
update rounds set published = %(event)s where round_id = %(round_id)s;

-- name: set_withheld
update rounds set withheld = %(event)s where round_id = %(round_id)s;

-- name: datasets_of_round
-- In one order everywhere, so that two handlers cannot lock them crosswise.
select dataset_id, version from round_datasets where round_id = %(round_id)s order by dataset_id, version;

-- name: insert_model
insert into models (version, published, event) values (%(version)s, %(published)s, %(event)s) on conflict do nothing;

-- name: model_versions
-- Newest first: versions are compared as numbers.
select version from models order by string_to_array(version, '.')::int[] desc;

-- name: insert_standard_version
insert into standard_versions (number, released, event) values (%(number)s, %(released)s, %(event)s)
on conflict do nothing;

-- name: insert_standard_score
insert into standard_scores (version, standard, scored, score) values (%(version)s, %(standard)s, %(scored)s, %(score)s)
on conflict do nothing;

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
