-- name: insert_dataset
-- Put a dataset at the end of the waiting list; nothing happens when it is known in any state.
insert into datasets (dataset_id, version, title, authors, licence, private, manifest, metric_report,
                      train_frames, nearest_branch, energy_shift_ev, traceparent, content_sha256)
values (%(dataset_id)s, %(version)s, %(title)s, %(authors)s, %(licence)s, %(private)s, %(manifest)s,
        %(metric_report)s, %(train_frames)s, %(nearest_branch)s, %(energy_shift_ev)s, %(traceparent)s,
        %(content_sha256)s)
on conflict (dataset_id, version) do nothing

-- name: lock_planning
-- One planner at a time, in all replicas; held until the transaction ends.
select pg_advisory_xact_lock(hashtext('plan:' || current_schema()))

-- name: has_open_round
-- A row when a round waits or trains.
select 1 as open from rounds where state in ('waiting', 'training')

-- name: round_waits
-- A row when a round waits for a worker.
select 1 as waits from rounds where state = 'waiting'

-- name: open_round
-- The round that waits or trains, locked: neither its worker nor a sweeper writes until the transaction ends.
select * from rounds where state in ('waiting', 'training') for update

-- name: waiting_datasets
-- The waiting list in the order of arrival, with the seconds since the newest and the oldest arrival. Of a dataset's
-- versions only the newest that passed waits; an older one does again when that one fails or is withdrawn.
select datasets.*, extract(epoch from now() - max(arrived_at) over ())::double precision as quiet_seconds,
       extract(epoch from now() - min(arrived_at) over ())::double precision as waited_seconds
from datasets
where state = 'waiting' and not exists (
    select from datasets newer
    where newer.dataset_id = datasets.dataset_id and newer.version > datasets.version
      and newer.state in ('waiting', 'reserved', 'training', 'published')
)
order by arrival

-- name: insert_round
-- A planned round; it waits for a worker.
insert into rounds (round_id, parent_version, preset, total_steps, seed, traceparent)
values (%(round_id)s, %(parent_version)s, %(preset)s, %(total_steps)s, %(seed)s, %(traceparent)s)

-- name: insert_round_branch
-- One branch of a planned round.
insert into round_branches (round_id, position, name, dataset_id, dataset_version, is_new, weight, left_out_frames)
values (%(round_id)s, %(position)s, %(branch)s, %(dataset_id)s, %(dataset_version)s, %(is_new)s, %(weight)s,
        %(left_out_frames)s)

-- name: set_new_datasets
-- Move the new datasets of a round to a state, with its reason. Withdrawn ones stay withdrawn.
update datasets
set state = %(state)s, reason = %(reason)s
from round_branches
where round_branches.round_id = %(round_id)s
  and round_branches.is_new
  and datasets.state <> 'withdrawn'
  and (datasets.dataset_id, datasets.version) = (round_branches.dataset_id, round_branches.dataset_version)

-- name: round_branches
-- The branches of a round with their datasets, in the order of the model.
select round_branches.name, round_branches.is_new, round_branches.weight, round_branches.left_out_frames,
       round_branches.energy_rmse_mev_per_atom, round_branches.force_rmse_mev_per_angstrom, datasets.*
from round_branches
join datasets on (datasets.dataset_id, datasets.version)
               = (round_branches.dataset_id, round_branches.dataset_version)
where round_branches.round_id = %(round_id)s
order by position

-- name: round
-- One round.
select * from rounds where round_id = %(round_id)s

-- name: waiting_round
-- The round that waits for a worker, locked for whoever offers it. None while growth is paused.
select * from rounds
where state = 'waiting' and not exists (select from line where paused_at is not null)
order by sequence
limit 1
for update skip locked

-- name: lease_round
-- Give a waiting round to a worker under the next fence; it starts where the newest checkpoint is.
update rounds
set state = 'training', worker = %(worker)s, fence = fence + 1, reported_step = null, reason = null, held_up = null,
    step = coalesce((select max(step) from checkpoints where checkpoints.round_id = rounds.round_id), 0),
    lease_expires_at = now() + make_interval(secs => %(ttl_seconds)s)
where round_id = %(round_id)s and state = 'waiting'
returning *

-- name: hold_round
-- The fence of every late write: renew the lease of whoever still holds the round, or return nothing.
-- The row stays locked until the transaction ends, so nobody takes the round between this and the write.
update rounds
set lease_expires_at = now() + make_interval(secs => %(ttl_seconds)s)
where round_id = %(round_id)s and fence = %(fence)s and state = 'training'
returning *

-- name: take_lost_round
-- A round whose lease has expired, locked for whoever sweeps.
select * from rounds
where state = 'training' and lease_expires_at < now()
order by sequence
limit 1
for update skip locked

-- name: set_step
-- How far training is, as the worker reported.
update rounds set step = %(step)s, reported_step = %(step)s where round_id = %(round_id)s

-- name: offer_again
-- The attempt ended without a candidate: the round waits for a worker.
update rounds
set state = 'waiting', worker = null, lease_expires_at = null, failures = %(failures)s, divergences = %(divergences)s,
    outages = %(outages)s, reason = %(reason)s
where round_id = %(round_id)s

-- name: end_round
-- The round is decided.
update rounds
set state = %(state)s, ended_at = now(), worker = null, lease_expires_at = null, failures = %(failures)s,
    reason = %(reason)s, rules = %(rules)s, model_version = %(model_version)s
where round_id = %(round_id)s

-- name: upsert_checkpoint
-- A stored checkpoint. Repeating is harmless; the newest fence's object wins.
insert into checkpoints (round_id, step, fence, blob)
values (%(round_id)s, %(step)s, %(fence)s, %(blob)s)
on conflict (round_id, step) do update
set fence = excluded.fence, blob = excluded.blob, stored_at = now()

-- name: stored_checkpoint
-- A row when this attempt stored a checkpoint.
select 1 as stored from checkpoints where round_id = %(round_id)s and fence = %(fence)s limit 1

-- name: newest_checkpoint
-- Where a successor resumes.
select step, blob from checkpoints where round_id = %(round_id)s order by step desc limit 1

-- name: superseded_checkpoints
-- Checkpoints beyond the newest two of an open round: nobody resumes from them, unless a newer one uses the object.
select round_id, step, blob
from (select checkpoints.*, row_number() over (partition by round_id order by checkpoints.step desc) as age
      from checkpoints
      join rounds using (round_id)
      where rounds.state in ('waiting', 'training')) as aged
where age > 2
  and not exists (select from checkpoints
                  where checkpoints.round_id = aged.round_id
                    and checkpoints.step > aged.step
                    and checkpoints.blob ->> 'key' = aged.blob ->> 'key')

-- name: delete_checkpoint
-- Forget a checkpoint whose object is gone.
delete from checkpoints where round_id = %(round_id)s and step = %(step)s

-- name: uncollected_rounds
-- Ended rounds whose work in progress still lies in storage.
select round_id from rounds where ended_at is not null and not collected order by sequence limit 10

-- name: mark_collected
-- The round's work in progress is gone from storage.
update rounds set collected = true where round_id = %(round_id)s

-- name: insert_model
-- A published version.
insert into models (version, major, minor, parent_version, round_id, preset, manifest, files, rules, checks,
                    standard_score, contributors, published_at, deepmd_version)
values (%(version)s, %(major)s, %(minor)s, %(parent_version)s, %(round_id)s, %(preset)s, %(manifest)s, %(files)s,
        %(rules)s, %(checks)s, %(standard_score)s, %(contributors)s, %(published_at)s, %(deepmd_version)s)

-- name: set_branch_errors
-- Held-out errors of one branch of a published model.
update round_branches
set energy_rmse_mev_per_atom = %(energy_rmse_mev_per_atom)s,
    force_rmse_mev_per_angstrom = %(force_rmse_mev_per_angstrom)s
where round_id = %(round_id)s and name = %(branch)s

-- name: move_alias
-- Let an alias point to a version from now on; earlier rows are its history.
insert into alias_moves (alias, version, kind, reason) values (%(alias)s, %(version)s, %(kind)s, %(reason)s)

-- name: resolve_alias
-- Where an alias points; never to a retired version.
select version
from (select version from alias_moves where alias = %(alias)s order by seq desc limit 1) as newest
join models using (version)
where retired_at is null

-- name: alias_moves
-- An alias's history before a row, newest first.
select * from alias_moves where alias = %(alias)s and seq < %(before)s order by seq desc limit %(limit)s

-- name: aliases
-- Every alias with the version that it points to.
select distinct on (alias) alias, version from alias_moves order by alias, seq desc

-- name: model
-- One version.
select * from models where version = %(version)s

-- name: newest_version
-- The highest version number given so far.
select version from models order by major desc, minor desc limit 1

-- name: models
-- Versions before a given one, newest first.
select * from models
where (major, minor) < (%(major)s, %(minor)s)
order by major desc, minor desc
limit %(limit)s

-- name: lineage
-- A version and its ancestors, newest first.
with recursive line as (
    select models.*, 0 as depth from models where version = %(version)s
    union all
    select models.*, line.depth + 1 from models join line on models.version = line.parent_version
)
select * from line order by depth

-- name: withdrawn_ancestral
-- Withdrawn datasets that trained an ancestor of a version and not the version itself.
with recursive line as (
    select version, parent_version, round_id from models where version = %(version)s
    union all
    select models.version, models.parent_version, models.round_id from models
    join line on models.version = line.parent_version
)
select count(distinct (datasets.dataset_id, datasets.version)) as count
from line
join round_branches using (round_id)
join datasets on (datasets.dataset_id, datasets.version)
               = (round_branches.dataset_id, round_branches.dataset_version)
where datasets.state = 'withdrawn'
  and (datasets.dataset_id, datasets.version) not in (
      select own.dataset_id, own.dataset_version from models join round_branches as own using (round_id)
      where models.version = %(version)s)

-- name: rounds
-- Rounds before a given one with the number of their new datasets, newest first.
select rounds.*, (select count(*) from round_branches
                  where round_branches.round_id = rounds.round_id and is_new) as new_datasets
from rounds
where sequence < %(sequence)s
order by sequence desc
limit %(limit)s

-- Workers -----------------------------------------------------------------------------------------------------------

-- name: announce_worker
-- A worker asks for a round and says what it is.
insert into workers (worker_id, hostname, gpus, cpu_name, cpu_cores, memory_bytes, presets, deepmd_version,
                     torch_version, launcher, processes)
values (%(worker_id)s, %(hostname)s, %(gpus)s, %(cpu_name)s, %(cpu_cores)s, %(memory_bytes)s, %(presets)s,
        %(deepmd_version)s, %(torch_version)s, %(launcher)s, %(processes)s)
on conflict (worker_id) do update
set hostname = excluded.hostname, gpus = excluded.gpus, cpu_name = excluded.cpu_name, cpu_cores = excluded.cpu_cores,
    memory_bytes = excluded.memory_bytes, presets = excluded.presets, deepmd_version = excluded.deepmd_version,
    torch_version = excluded.torch_version, launcher = excluded.launcher, processes = excluded.processes,
    last_seen = now()

-- name: see_worker
-- A worker that trains has beaten.
update workers set last_seen = now() where worker_id = %(worker_id)s

-- name: set_refusal
-- Why the round that waits was not offered to the worker; null: it was.
update workers set refusal = %(reason)s where worker_id = %(worker_id)s and refusal is distinct from %(reason)s

-- name: workers
-- Workers with the round that each of them trains, last seen first.
select workers.*, rounds.round_id, last_seen > now() - make_interval(secs => %(live_seconds)s) as live
from workers
left join rounds on rounds.worker = workers.worker_id and rounds.state = 'training'
where %(everyone)s or last_seen > now() - make_interval(secs => %(live_seconds)s)
order by last_seen desc, worker_id

-- name: set_held_up
-- What the round waits for; null: for nothing.
update rounds set held_up = %(reason)s where round_id = %(round_id)s

-- name: deepmd_version
-- What trained a version.
select deepmd_version from models where version = %(version)s

-- Operators ---------------------------------------------------------------------------------------------------------

-- name: line
-- Whether growth is paused, and why.
select * from line

-- name: pause
-- Plan and lease nothing from now on; a later reason replaces an earlier one.
update line set paused_at = coalesce(paused_at, now()), reason = %(reason)s

-- name: resume
-- Plan and lease again.
update line set paused_at = null, reason = null where paused_at is not null

-- name: dataset
-- One dataset that passed.
select * from datasets where dataset_id = %(dataset_id)s and version = %(version)s for update

-- name: datasets_by_arrival
-- Datasets by their place in the order of arrival.
select * from datasets where arrival = any(%(arrivals)s) order by arrival

-- name: set_dataset_state
-- Move datasets to a state, but withdrawn ones.
update datasets set state = %(state)s, reason = %(reason)s
where arrival = any(%(arrivals)s) and state <> 'withdrawn'

-- name: withdraw
-- Take a dataset out of all rounds to come.
update datasets set state = 'withdrawn', reason = %(reason)s
where dataset_id = %(dataset_id)s and version = %(version)s

-- name: remember_withdrawal
-- The first reason stays.
insert into contributors_words (dataset_id, version, withdrawn) values (%(dataset_id)s, %(version)s, %(reason)s)
on conflict (dataset_id, version) do update
set withdrawn = coalesce(contributors_words.withdrawn, excluded.withdrawn)

-- name: remember_credit
insert into contributors_words (dataset_id, version, credit) values (%(dataset_id)s, %(version)s, %(credit)s)
on conflict (dataset_id, version) do update set credit = excluded.credit

-- name: contributors_words
-- What the contributor said of a dataset so far; no row: nothing.
select withdrawn, credit from contributors_words where dataset_id = %(dataset_id)s and version = %(version)s

-- name: set_credit
-- What models to come say about a dataset.
update datasets set title = %(title)s, authors = %(authors)s, licence = %(licence)s, private = %(private)s
where dataset_id = %(dataset_id)s and version = %(version)s

-- name: set_relative_weight
-- How often a dataset is drawn; null: by its training frames.
update datasets set relative_weight = %(weight)s where dataset_id = %(dataset_id)s and version = %(version)s

-- name: trained_versions
-- Versions that trained on a dataset (depth 0), and those that grew from them without it, oldest first.
with recursive affected as (
    select models.version, models.major, models.minor, true as trained
    from models join round_branches using (round_id)
    where dataset_id = %(dataset_id)s and dataset_version = %(version)s
    union
    select models.version, models.major, models.minor, exists (
        select from round_branches
        where round_branches.round_id = models.round_id
          and dataset_id = %(dataset_id)s and dataset_version = %(version)s)
    from models join affected on models.parent_version = affected.version
)
select distinct version, major, minor, trained from affected order by major, minor

-- name: insert_inquiry
-- A search begins.
insert into inquiries (inquiry_id, kind, round_id) values (%(inquiry_id)s, %(kind)s, %(round_id)s)

-- name: upsert_group
-- A group of a search as it stands.
insert into inquiry_groups (inquiry_id, number, members, state, sibling, suspected, round_id)
values (%(inquiry_id)s, %(number)s, %(members)s, %(state)s, %(sibling)s, %(suspected)s, %(round_id)s)
on conflict (inquiry_id, number) do update
set members = excluded.members, state = excluded.state, suspected = excluded.suspected, round_id = excluded.round_id

-- name: end_inquiry
-- A search has ended.
update inquiries set ended_at = now(), outcome = %(outcome)s where inquiry_id = %(inquiry_id)s

-- name: newest_inquiry
-- The search that goes on, or else the last one.
select * from inquiries order by sequence desc limit 1

-- name: inquiry_groups
-- The groups of a search.
select * from inquiry_groups where inquiry_id = %(inquiry_id)s order by number

-- name: inquiry_of_round
-- The search that asked for a round.
select inquiry_id from inquiry_groups where round_id = %(round_id)s limit 1

-- name: retire
-- A version is no longer offered.
update models set retired_at = now(), retired_reason = %(reason)s where version = %(version)s and retired_at is null

-- name: pointing
-- Aliases that point to a version now.
select alias from (select distinct on (alias) alias, version from alias_moves order by alias, seq desc) as newest
where version = %(version)s order by alias

-- name: retired_versions
-- Versions that no alias may point to.
select version from models where retired_at is not null

-- The standard dataset -------------------------------------------------------------------------------------------------

-- name: newest_standard
-- The current version of the standard dataset.
select * from standard_versions order by number desc limit 1

-- name: standards
-- Its versions, newest first.
select * from standard_versions order by number desc

-- name: standard_branches
-- The frames of one version, with their datasets.
select standard_branches.*, datasets.private, datasets.manifest, datasets.metric_report
from standard_branches
join datasets on (datasets.dataset_id, datasets.version)
               = (standard_branches.dataset_id, standard_branches.dataset_version)
where number = %(number)s
order by position

-- name: insert_standard
-- A new version.
insert into standard_versions (number, model_version, seed, frames_per_branch, content)
values (%(number)s, %(model_version)s, %(seed)s, %(frames_per_branch)s, %(content)s)

-- name: insert_standard_branch
-- The frames of one branch of it.
insert into standard_branches (number, position, branch, dataset_id, dataset_version, frames, frames_sha256,
                               baseline_energy_rmse_mev_per_atom, baseline_force_rmse_mev_per_angstrom,
                               baseline_element_energies)
values (%(number)s, %(position)s, %(branch)s, %(dataset_id)s, %(dataset_version)s, %(frames)s, %(frames_sha256)s,
        %(baseline_energy_rmse_mev_per_atom)s, %(baseline_force_rmse_mev_per_angstrom)s,
        %(baseline_element_energies)s)

-- name: insert_standard_error
-- Error of a model on the frames of one branch. What was measured first stays: the same frames, the same model.
insert into standard_errors (model_version, dataset_id, dataset_version, frames_sha256, energy_rmse_mev_per_atom,
                             force_rmse_mev_per_angstrom, zero_shot)
values (%(model_version)s, %(dataset_id)s, %(dataset_version)s, %(frames_sha256)s, %(energy_rmse_mev_per_atom)s,
        %(force_rmse_mev_per_angstrom)s, %(zero_shot)s)
on conflict do nothing

-- name: standard_errors
-- What is known of a model on the branches of a version of the standard dataset.
select standard_branches.dataset_id, standard_branches.dataset_version, standard_errors.energy_rmse_mev_per_atom,
       standard_errors.force_rmse_mev_per_angstrom, standard_errors.zero_shot
from standard_branches
join standard_errors using (dataset_id, dataset_version, frames_sha256)
where number = %(number)s and model_version = %(model_version)s

-- name: unscored_models
-- Versions that have no score on a version of the standard dataset, newest first.
select version from models
where not exists (select from standard_scores where model_version = version and standard = %(number)s)
order by major desc, minor desc

-- name: insert_standard_score
-- Nothing when it is there already.
insert into standard_scores (model_version, standard, score) values (%(model_version)s, %(number)s, %(score)s)
on conflict do nothing

-- name: standard_scores
-- Of one model, newest standard dataset first.
select score from standard_scores where model_version = %(model_version)s order by standard desc

-- name: queue_scoring
-- A model waits to be scored. Whoever scores it on an older version holds nothing any more.
insert into scorings (model_version, standard) values (%(model_version)s, %(number)s)
on conflict (model_version) do update
set standard = excluded.standard, worker = null, lease_expires_at = null, failures = 0, reason = null, done_at = null

-- name: lease_scoring
-- Give the newest model that waits to a worker under the next fence, never while a round waits or growth is paused.
-- A lease that ran out counts as a failure. Frames of withdrawn datasets are not predicted any more.
update scorings
set worker = %(worker)s, fence = fence + 1, lease_expires_at = now() + make_interval(secs => %(ttl_seconds)s),
    failures = failures + case when worker is null then 0 else 1 end
where model_version = (
    select scorings.model_version from scorings join models on models.version = scorings.model_version
    where done_at is null and failures + case when worker is null then 0 else 1 end < %(max_attempts)s
      and (lease_expires_at is null or lease_expires_at < now())
      and not exists (select from line where paused_at is not null)
      and not exists (select from rounds where state = 'waiting')
      and not exists (
          select from standard_branches
          join datasets on (datasets.dataset_id, datasets.version)
                         = (standard_branches.dataset_id, standard_branches.dataset_version)
          where standard_branches.number = scorings.standard and datasets.state = 'withdrawn'
            and not exists (
                select from standard_errors
                where standard_errors.model_version = scorings.model_version
                  and (standard_errors.dataset_id, standard_errors.dataset_version, standard_errors.frames_sha256)
                    = (standard_branches.dataset_id, standard_branches.dataset_version, standard_branches.frames_sha256)))
    order by major desc, minor desc
    limit 1
    for update of scorings skip locked
)
returning *

-- name: hold_scoring
-- The fence of every late write: renew the lease of whoever still holds it, or return nothing.
update scorings
set lease_expires_at = now() + make_interval(secs => %(ttl_seconds)s)
where model_version = %(model_version)s and fence = %(fence)s and worker is not null
returning *

-- name: scoring
-- One model's scoring.
select * from scorings where model_version = %(model_version)s

-- name: end_scoring
-- The model is scored.
update scorings set done_at = now(), worker = null, lease_expires_at = null, reason = null
where model_version = %(model_version)s

-- name: offer_scoring_again
-- The attempt ended without errors.
update scorings set worker = null, lease_expires_at = null, failures = %(failures)s, reason = %(reason)s
where model_version = %(model_version)s

-- name: coverage
-- How far each version is scored on the newest standard dataset, newest version first.
select models.version, scorings.reason, newest.score, newest.standard,
       scorings.failures + case when scorings.lease_expires_at < now() then 1 else 0 end as failures,
       coalesce(scorings.lease_expires_at > now(), false) as leased
from models
left join scorings on scorings.model_version = models.version
left join lateral (
    select score, standard from standard_scores
    where standard_scores.model_version = models.version order by standard desc limit 1
) as newest on true
order by major desc, minor desc

-- name: unchecked_datasets
-- Datasets that a round may train on and whose training frames were not compared with a standard dataset yet.
select * from datasets
where state in ('waiting', 'reserved', 'training', 'published')
  and not exists (
      select from standard_overlaps
      where (standard_overlaps.dataset_id, standard_overlaps.dataset_version) = (datasets.dataset_id, datasets.version)
        and standard = %(number)s)
order by arrival

-- name: insert_overlap
-- What was found; once for a dataset and a version of the standard dataset.
insert into standard_overlaps (dataset_id, dataset_version, standard, training_frames)
values (%(dataset_id)s, %(version)s, %(number)s, %(training_frames)s)
on conflict do nothing

-- name: overlaps
-- What was found for a version of the standard dataset.
select dataset_id, dataset_version, training_frames from standard_overlaps where standard = %(number)s
-- Proof -------------------------------------------------------------------------------------------------------------

-- name: tell_usage
-- What an attempt has used so far. Numbers of one attempt only grow; a message that comes late changes nothing.
insert into attempts (round_id, fence, core_seconds, gpu_seconds, cpu_joules, gpu_joules)
values (%(round_id)s, %(fence)s, %(core_seconds)s, %(gpu_seconds)s, %(cpu_joules)s, %(gpu_joules)s)
on conflict (round_id, fence) do update
set core_seconds = excluded.core_seconds, gpu_seconds = excluded.gpu_seconds, cpu_joules = excluded.cpu_joules,
    gpu_joules = excluded.gpu_joules, told_at = now()
where attempts.core_seconds <= excluded.core_seconds

-- name: usages
-- What the attempts of a round used, as far as their workers told.
select fence, core_seconds, gpu_seconds, cpu_joules, gpu_joules from attempts
where round_id = %(round_id)s order by fence

-- name: insert_receipt
-- A signed receipt; it is never changed.
insert into receipts (round_id, dataset_id, dataset_version, key_id, document)
values (%(round_id)s, %(dataset_id)s, %(dataset_version)s, %(key_id)s, %(document)s)

-- name: upsert_signing_key
-- The key that signs from now on; one that was replaced may come back.
insert into signing_keys (key_id, public_key) values (%(key_id)s, %(public_key)s)
on conflict (key_id) do update set until = null

-- name: retire_other_keys
-- Every other key has been replaced.
update signing_keys set until = now() where key_id <> %(key_id)s and until is null

-- name: signing_keys
-- All keys that ever signed, the one that signs now first.
select key_id, public_key, since, until from signing_keys order by until is not null, since desc

-- What anyone may query ---------------------------------------------------------------------------------------------

-- name: revision
-- Grows with every commit that changes what anyone may query.
select revision from catalogue

-- name: read_one_state
-- Everything that follows in this transaction reads the database as it is now.
set transaction isolation level repeatable read, read only

-- name: catalogue_versions
-- Every version, oldest first.
select version, parent_version, round_id, retired_at is not null as retired from models order by major, minor

-- name: catalogue_aliases
-- Where each alias points, unless that version was retired, and since when.
select alias, version, moved_at
from (select distinct on (alias) alias, version, moved_at from alias_moves order by alias, seq desc) as newest
join models using (version)
where retired_at is null
order by alias

-- name: catalogue_withdrawn
-- Withdrawn datasets by the versions that trained on them.
select models.version, datasets.arrival
from datasets
join round_branches on (round_branches.dataset_id, round_branches.dataset_version)
                     = (datasets.dataset_id, datasets.version)
join models using (round_id)
where datasets.state = 'withdrawn'

-- name: models_by_version
-- Several versions.
select * from models where version = any(%(versions)s)

-- name: branches_by_round
-- The branches of several rounds, each in the order of its model.
select round_id, name, is_new, weight, left_out_frames, energy_rmse_mev_per_atom, force_rmse_mev_per_angstrom,
       dataset_id, dataset_version
from round_branches
where round_id = any(%(round_ids)s)
order by round_id, position

-- name: datasets_by_round
-- The datasets of several rounds, each once: versions that grew from one another share most of them.
select * from datasets
where (dataset_id, version) in (
    select dataset_id, dataset_version from round_branches where round_id = any(%(round_ids)s)
)

-- name: scores_by_version
-- Of several versions, each with its newest standard dataset first.
select model_version, score from standard_scores where model_version = any(%(versions)s)
order by model_version, standard desc

-- name: scored_versions
-- Every version that has a score.
select distinct model_version from standard_scores

-- name: changes
-- What outsiders watch for, after a position, in the order of commits.
select * from catalogue_changes where position > %(after)s order by position limit %(limit)s
