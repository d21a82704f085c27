-- name: insert_dataset
insert into datasets (dataset_id, version, owner_id, upload_id, name, authors, orcids, dpa, format, licence, private,
                      description, declared, agreement, region, filename, archive_key, archive_sha256, archive_size,
                      idempotency_key, request_sha256)
values (%(dataset_id)s, %(version)s, %(owner_id)s, %(upload_id)s, %(title)s, %(authors)s, %(orcids)s, %(dpa)s,
        %(format)s, %(licence)s, %(private)s, %(description)s, %(declared)s, %(agreement)s, %(region)s, %(filename)s,
        %(archive_key)s, %(archive_sha256)s, %(archive_size)s, %(idempotency_key)s, %(request_sha256)s);

-- name: lock_dataset
-- Who changes an entry or adds a version to it goes one after the other.
select pg_advisory_xact_lock(hashtext('dataset:' || %(dataset_id)s::text));

-- name: own_latest
-- The latest version of a person's own dataset.
select * from datasets where dataset_id = %(dataset_id)s and owner_id = %(owner_id)s order by version desc limit 1;

-- name: make_public
update datasets set private = false, made_public = clock_timestamp(), licence = %(licence)s, authors = %(authors)s,
    orcids = %(orcids)s, description = %(description)s
where dataset_id = %(dataset_id)s and version = %(version)s and private;

-- name: withdraw_dataset
-- Every version that was not yet; in the order of versions.
with gone as (
    update datasets set withdrawn = clock_timestamp(), withdrawal_reason = %(reason)s
    where dataset_id = %(dataset_id)s and withdrawn is null returning version, dpa
)
select version, dpa from gone order by version;

-- name: keep_agreement_text
insert into agreement_texts (sha256, version, language, content)
values (%(sha256)s, %(version)s, %(language)s, %(content)s) on conflict do nothing;

-- name: insert_consent
insert into consents (dataset_id, version, act, person_id, text_sha256)
values (%(dataset_id)s, %(version)s, %(act)s, %(person_id)s, %(sha256)s);

-- name: consents
-- In the order in which they were given.
select act, agreement_texts.version as agreement, language, text_sha256, agreed
from consents join agreement_texts on agreement_texts.sha256 = text_sha256
where dataset_id = %(dataset_id)s and consents.version = %(version)s order by agreed;

-- name: versions
-- Of one dataset, newest first: those that this reader may see.
select dataset_id, version, created, private, archive_size, stage, state, verdict,
       (validated ->> 'frames')::int as frames
from datasets join contributions using (dataset_id, version)
where dataset_id = %(dataset_id)s and (not private or owner_id = %(reader_id)s)
order by version desc;

-- name: models_of
-- Versions of the model that name this dataset version, and those of the rounds that it was new in; newest first.
select models.version, models.published from models
where models.event -> 'datasets' @> %(named)s
   or models.version in (
        select rounds.published ->> 'version' from round_datasets join rounds using (round_id)
        where dataset_id = %(dataset_id)s and round_datasets.version = %(version)s and rounds.published is not null)
order by string_to_array(models.version, '.')::int[] desc;

-- name: dataset_by_key
select dataset_id, version, request_sha256 from datasets
where owner_id = %(owner_id)s and idempotency_key = %(idempotency_key)s;

-- name: find_entry
-- The latest version that this reader (none: a stranger) may see, or that one if they may.
select dataset_id, version, owner_id, name, private, dpa, region, withdrawn, filename, archive_key, archive_sha256,
       archive_size, pictures, tables, metric, validated, looked_into
from datasets join contributions using (dataset_id, version)
where dataset_id = %(dataset_id)s and (not private or owner_id = %(reader_id)s)
  and (%(version)s::int is null or version = %(version)s)
order by version desc limit 1;

-- name: page_of_entries
-- Latest versions that this reader may see, newest first; `mine` narrows to the reader's own, and has withdrawn ones.
with latest as (
    select distinct on (dataset_id) dataset_id, version, created from datasets
    where (not private or owner_id = %(reader_id)s) and (not %(mine)s or owner_id = %(reader_id)s)
      and (withdrawn is null or %(mine)s)
    order by dataset_id, version desc
)
select dataset_id, version, count(*) over () as total from latest
order by created desc, dataset_id limit %(limit)s offset %(offset)s;

-- name: count_entries
select count(distinct dataset_id) as total from datasets
where (not private or owner_id = %(reader_id)s) and (not %(mine)s or owner_id = %(reader_id)s)
  and (withdrawn is null or %(mine)s);

-- name: entries
-- Everything that a dataset's view shows but its curve; the round is the latest that the dataset is new in.
select d.dataset_id, d.version, d.name, d.authors, d.licence, d.private, d.description, d.created, d.filename,
       d.archive_key, d.archive_size, d.archive_sha256, d.owner_id, d.orcids, d.dpa, d.region, d.made_public,
       d.withdrawn, newest.latest, newest.latest_public,
       c.validated_at, c.metric_started_at, c.metric_at, c.last_event, r.queued_at, c.stage, c.state, c.verdict, c.held_up, c.reading, c.validated, c.rejected, c.looked_into, c.metric, c.pictures, c.tables,
       c.report, c.position, d.declared,
       r.round_id, r.branch, r.round, r.released
from datasets d
join contributions c using (dataset_id, version)
cross join lateral (
    select max(version) as latest, max(version) filter (where not private) as latest_public
    from datasets where dataset_id = d.dataset_id
) newest
left join lateral (
    select rounds.round_id, branch, to_jsonb(rounds) as round, released, queued_at
    from round_datasets join rounds using (round_id)
    where round_datasets.dataset_id = d.dataset_id and round_datasets.version = d.version
    order by queued_at desc, round_id limit 1
) r on true
where (d.dataset_id, d.version) in (
    select * from unnest(%(dataset_ids)s::uuid[], %(versions)s::int[])
);

-- name: curves
select round_id, branch, step, energy_rmse_mev_per_atom, force_rmse_mev_per_angstrom
from curve_points where round_id = any(%(round_ids)s) order by round_id, branch, step;

-- name: lines
-- Who waits, in the order of being served: for the check what a worker has taken, then by time of validation, behind
-- them what is still being read by time of upload; for training by time of passing. What is held up on our side has no
-- place and is in nobody's way.
with waiting as (
    select c.dataset_id, c.version, d.name, d.private, d.owner_id, c.state, c.held_up is not null as held_up,
           case when c.state = 'passed' then 'train' else 'check' end as line,
           c.state = 'uploaded' as unread,
           coalesce(case when c.state = 'passed' then c.metric_at when c.state <> 'uploaded' then c.validated_at end,
                    d.created) as since,
           case when c.state = 'checking' then coalesce(c.metric_started_at, c.last_event) end as started,
           (c.validated ->> 'frames')::int as frames
    from contributions c join datasets d using (dataset_id, version)
    where c.state in ('uploaded', 'validated', 'checking', 'passed')
      -- Of a dataset's versions only the newest that passed waits for training.
      and not (c.state = 'passed' and exists (
        select from contributions later
        where later.dataset_id = c.dataset_id and later.version > c.version
          and later.state in ('passed', 'training', 'published')
      ))
)
select *, case when not held_up then row_number() over (
    partition by line, held_up order by started is null, unread, since, dataset_id
) end as position
from waiting
order by line, position nulls last, since, dataset_id;

-- name: recent_runs
-- The last checks that went all the way: how long they took, and over how many frames.
select metric_started_at as started, metric_at as finished, (validated ->> 'frames')::int as frames
from contributions
where metric_started_at is not null and metric_at > metric_started_at and validated is not null
order by metric_at desc limit %(limit)s;

-- name: past_rounds
-- The last rounds that ended with a model: when they were planned, when it was published, what was new in them.
select queued_at as planned, models.published,
       (select count(*) from round_datasets where round_datasets.round_id = rounds.round_id)::int as datasets
from rounds join models on models.version = rounds.published ->> 'version'
where queued_at is not null
order by models.published desc limit %(limit)s;

-- name: rounds_under_way
-- Each with the datasets that are in it still; none that failed for good.
select round_id, queued_at as planned, coalesce((waits_for ->> 'attempt')::int > attempt, false) as held_up,
       array(select dataset_id || '/' || version from round_datasets
             where round_datasets.round_id = rounds.round_id and released is null) as datasets
from rounds
where queued is not null and published is null and withheld is null
  and not coalesce((failed ->> 'attempt')::int >= attempt and not (failed ->> 'will_retry')::boolean, false)
order by queued_at;

-- name: visible_names
-- Of these datasets, the names of those that this reader may see (none: a stranger).
select distinct on (dataset_id) dataset_id, name from datasets
where dataset_id = any(%(dataset_ids)s) and (not private or owner_id = %(reader_id)s)
order by dataset_id, version desc;

-- name: open_rounds
-- Rounds that wait or train, oldest first, each with the datasets that are new in it.
select to_jsonb(r) as round,
       (select jsonb_agg(jsonb_build_object('dataset_id', d.dataset_id, 'name', d.name, 'private', d.private,
                                            'owner_id', d.owner_id, 'state', c.state,
                                            'held_up', c.held_up is not null) order by d.created)
        from round_datasets join datasets d using (dataset_id, version)
        join contributions c using (dataset_id, version) where round_datasets.round_id = r.round_id) as datasets
from rounds r
where queued is not null and published is null and withheld is null
order by queued_at;

-- name: read_consistently
-- First in a transaction whose several reads must show one moment.
set transaction isolation level repeatable read read only;
