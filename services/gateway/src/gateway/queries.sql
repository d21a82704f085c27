-- People, sessions, tokens ------------------------------------------------------------------------------------------

-- name: insert_person
-- No row when the address has an account already.
insert into people (email, name, password_hash, language)
values (%(email)s, %(full_name)s, %(password_hash)s, %(language)s)
on conflict (email) do nothing
returning *;

-- name: person_by_email
select * from people where email = %(email)s;

-- name: person
select * from people where person_id = %(person_id)s;

-- name: replace_password_hash
update people set password_hash = %(password_hash)s where person_id = %(person_id)s;

-- name: set_profile
update people set name = %(full_name)s, mail_when_done = %(mail_when_done)s, language = %(language)s
where person_id = %(person_id)s
returning *;

-- name: insert_session
insert into sessions (secret_sha256, person_id, device, expires)
values (%(secret_sha256)s, %(person_id)s, %(device)s, now() + make_interval(secs => %(seconds)s))
returning expires;

-- name: person_by_session
select people.*, session_id, last_seen from sessions join people using (person_id)
where secret_sha256 = %(secret_sha256)s and expires > now();

-- name: touch_session
update sessions set last_seen = now() where session_id = %(session_id)s;

-- name: sessions_of
select session_id, device, created, last_seen, secret_sha256 = %(secret_sha256)s as current
from sessions where person_id = %(person_id)s and expires > now()
order by last_seen desc, session_id;

-- name: delete_session
delete from sessions where secret_sha256 = %(secret_sha256)s;

-- name: delete_session_of
delete from sessions where session_id = %(session_id)s and person_id = %(person_id)s;

-- name: delete_other_sessions
delete from sessions where person_id = %(person_id)s and secret_sha256 <> %(secret_sha256)s;

-- name: delete_expired
with sessions_gone as (delete from sessions where expires <= now()),
     flows_gone as (delete from sign_in_flows where expires <= now())
delete from one_time_links where expires <= now();

-- name: insert_token
insert into tokens (secret_sha256, person_id, name, scopes, expires)
values (%(secret_sha256)s, %(person_id)s, %(label)s, %(scopes)s, now() + make_interval(days => %(days)s::int))
returning *;

-- name: person_by_token
select people.*, token_id, scopes, last_used from tokens join people using (person_id)
where secret_sha256 = %(secret_sha256)s and (expires is null or expires > now());

-- name: touch_token
update tokens set last_used = now() where token_id = %(token_id)s;

-- name: tokens_of
select token_id, name, scopes, created, last_used, expires from tokens where person_id = %(person_id)s order by created;

-- name: delete_token
delete from tokens where token_id = %(token_id)s and person_id = %(person_id)s;

-- name: insert_identity
-- No row when somebody has it already.
insert into identities (provider, subject, person_id) values (%(provider)s, %(subject)s, %(person_id)s)
on conflict do nothing
returning provider;

-- name: person_by_identity
select people.* from identities join people using (person_id) where provider = %(provider)s and subject = %(subject)s;

-- name: identities_of
select provider, subject, created from identities where person_id = %(person_id)s order by provider, subject;

-- name: lock_person
select password_hash is not null as has_password from people where person_id = %(person_id)s for update;

-- name: delete_identity
delete from identities where person_id = %(person_id)s and provider = %(provider)s and subject = %(subject)s;

-- name: insert_flow
insert into sign_in_flows (secret_sha256, provider, verifier, nonce, next, person_id, expires)
values (%(secret_sha256)s, %(provider)s, %(verifier)s, %(nonce)s, %(next)s, %(person_id)s,
        now() + make_interval(secs => %(seconds)s));

-- name: flow
select * from sign_in_flows where secret_sha256 = %(secret_sha256)s and expires > now() for update;

-- name: set_flow_vouched
update sign_in_flows set subject = %(subject)s, name = %(full_name)s, email = %(email)s
where secret_sha256 = %(secret_sha256)s;

-- name: delete_flow
delete from sign_in_flows where secret_sha256 = %(secret_sha256)s;

-- name: insert_link
insert into one_time_links (secret_sha256, person_id, expires)
values (%(secret_sha256)s, %(person_id)s, now() + make_interval(secs => %(seconds)s));

-- name: link
select 1 from one_time_links where secret_sha256 = %(secret_sha256)s and expires > now();

-- name: use_link
-- All links of the person end with the one that is used.
with used as (
    delete from one_time_links where secret_sha256 = %(secret_sha256)s and expires > now() returning person_id
), others as (
    delete from one_time_links where person_id in (select person_id from used) and secret_sha256 <> %(secret_sha256)s
)
select people.* from used join people using (person_id);

-- name: insert_mail
insert into mails (recipient, subject, body) values (%(recipient)s, %(subject)s, %(body)s);

-- name: due_mail
-- The next one to send, held until the transaction ends: replicas take different ones.
select * from mails where due <= now() order by due, mail_id limit 1 for update skip locked;

-- name: delete_mail
delete from mails where mail_id = %(mail_id)s;

-- name: postpone_mail
update mails set attempts = attempts + 1, due = now() + make_interval(secs => %(seconds)s) where mail_id = %(mail_id)s;

-- name: insert_notice
-- No row when it was told already.
insert into notices (dataset_id, version, state) values (%(dataset_id)s, %(version)s, %(state)s)
on conflict do nothing
returning state;

-- name: to_be_noticed
select people.email, people.language, datasets.name from datasets join people on person_id = owner_id
where dataset_id = %(dataset_id)s and version = %(version)s and mail_when_done;

-- name: lock_attempts
-- Attempts that come side by side are counted one after the other.
select pg_advisory_xact_lock(hashtext('sign-in:' || %(account)s || ' ' || %(address)s));

-- name: insert_attempt
-- Written before the password is looked at: an attempt counts from its start.
insert into sign_in_attempts (account, address) values (%(account)s, %(address)s);

-- name: count_attempts
select count(*) as attempts,
       extract(epoch from min(at) + make_interval(secs => %(window_seconds)s) - clock_timestamp()) as free_in_seconds
from sign_in_attempts
where account = %(account)s and address = %(address)s
  and at > clock_timestamp() - make_interval(secs => %(window_seconds)s);

-- name: clear_attempts
delete from sign_in_attempts where account = %(account)s and address = %(address)s;

-- name: delete_old_attempts
delete from sign_in_attempts where at < now() - make_interval(secs => %(window_seconds)s);

-- Uploads -----------------------------------------------------------------------------------------------------------

-- name: insert_upload
-- No row when the person has too many unpublished uploads.
insert into uploads (upload_id, owner_id, filename, size, region, placed, ticket_sha256)
select %(upload_id)s, %(owner_id)s, %(filename)s, %(size)s, %(region)s, %(placed)s, %(ticket_sha256)s
where (select count(*) from uploads left join datasets using (upload_id)
       where uploads.owner_id = %(owner_id)s and datasets.dataset_id is null) < %(most)s
returning upload_id;

-- name: place_upload
update uploads set placed = true where upload_id = %(upload_id)s;

-- name: upload
select upload_id, uploads.owner_id, uploads.filename, size, sha256, uploads.created, touched, dataset_id,
       uploads.region, placed, received, ticket_sha256
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
and not exists (select from datasets where datasets.upload_id = uploads.upload_id);

-- name: expired_uploads
select upload_id, region from uploads
where touched < now() - make_interval(secs => %(seconds)s)
  and not exists (select from datasets where datasets.upload_id = uploads.upload_id);

-- name: unpublished_uploads
-- What a person may still resume or publish, newest first.
select upload_id, uploads.owner_id, uploads.filename, size, sha256, uploads.created, touched, dataset_id,
       uploads.region, placed, received, ticket_sha256
from uploads left join datasets using (upload_id)
where uploads.owner_id = %(owner_id)s and dataset_id is null
order by uploads.created desc;

-- Entries -----------------------------------------------------------------------------------------------------------

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
select dataset_id, request_sha256 from datasets
where owner_id = %(owner_id)s and idempotency_key = %(idempotency_key)s;

-- name: find_entry
-- The latest version that this reader (none: a stranger) may see, or that one if they may.
select dataset_id, version, owner_id, name, private, dpa, region, withdrawn, filename, archive_key, archive_sha256,
       archive_size, pictures, tables, metric, validated
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
       c.validated_at, c.metric_started_at, c.metric_at, c.last_event, r.queued_at, c.stage, c.state, c.verdict, c.held_up, c.reading, c.validated, c.rejected, c.metric, c.pictures, c.tables,
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
    order by queued_at desc limit 1
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

-- Projections -------------------------------------------------------------------------------------------------------

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
update rounds set attempt = %(attempt)s, worker = %(worker)s, resumed_from = %(resumed_from)s
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

-- name: models
-- Newest first: versions are compared as numbers.
select version, published, event from models order by string_to_array(version, '.')::int[] desc;

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

-- Repetitions of metric runs ----------------------------------------------------------------------------------------

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
on conflict (rerun_id) do update set finished = excluded.finished, finished_at = excluded.finished_at, failed = null;

-- name: give_up_rerun
update reruns set failed = %(reason)s where rerun_id = %(rerun_id)s and finished is null;

-- Proof -------------------------------------------------------------------------------------------------------------

-- name: insert_receipt
insert into receipts (dataset_id, version, round_id, issued, document)
values (%(dataset_id)s, %(version)s, %(round_id)s, %(issued)s, %(document)s) on conflict do nothing;

-- name: receipts
-- Of every version of a dataset, newest first. The caller has seen that the reader may see it; versions that were
-- private when others were not stay their owner's.
select receipts.document from receipts join datasets using (dataset_id, version)
where dataset_id = %(dataset_id)s and (not private or owner_id = %(reader_id)s)
order by issued desc, round_id limit %(most)s;
