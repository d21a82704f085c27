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
where secret_sha256 = %(secret_sha256)s and expires > now() and suspended is null;

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
where secret_sha256 = %(secret_sha256)s and (expires is null or expires > now()) and suspended is null;

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

-- The catalogue -----------------------------------------------------------------------------------------------------

-- name: refresh_catalogue
-- The rows of one dataset as they should be now: its newest public version, and a private one that is newer.
-- Chinese is searched by its characters, all else by its words.
with newest as (
    select distinct on (private) * from datasets where dataset_id = %(dataset_id)s and withdrawn is null
    order by private, version desc
), shown as (
    select * from newest n
    where not private or not exists (select from newest p where not p.private and p.version > n.version)
), fresh as (
    select d.dataset_id, not d.private as public, d.version, d.owner_id, d.name, d.authors, d.licence, d.created,
           d.archive_size as size, coalesce((c.validated ->> 'frames')::int, 0) as frames,
           coalesce(v.elements, '{}') as elements, coalesce(m.new_elements, '{}') as new_elements,
           coalesce(c.validated -> 'level_of_theory' ->> 'functional', d.declared ->> 'functional') as functional,
           c.stage, c.state, c.verdict, c.held_up is not null as held_up, r.model,
           d.description, coalesce(f.formulas, '{}') as formulas
    from shown d
    join contributions c using (dataset_id, version)
    left join dataset_facts f using (dataset_id, version)
    left join lateral (
        select array_agg(symbol) as elements from jsonb_array_elements_text(c.validated -> 'elements') symbol
    ) v on true
    left join lateral (
        select array_agg(symbol) as new_elements from jsonb_array_elements_text(c.metric -> 'new_elements') symbol
    ) m on true
    left join lateral (
        select rounds.published ->> 'version' as model from round_datasets join rounds using (round_id)
        where round_datasets.dataset_id = d.dataset_id and round_datasets.version = d.version
        order by queued_at desc limit 1
    ) r on true
), gone as (
    delete from catalogue using (select %(dataset_id)s::uuid as dataset_id) of
    where catalogue.dataset_id = of.dataset_id and not exists (select from fresh where fresh.public = catalogue.public)
)
insert into catalogue
select dataset_id, public, version, owner_id, name, authors, licence, created, size, frames, elements, new_elements,
       functional, stage, state, verdict, held_up, model,
       setweight(to_tsvector('simple', regexp_replace(name, '([㐀-鿿])', ' \1 ', 'g')), 'A')
       || setweight(to_tsvector('simple', regexp_replace(array_to_string(authors, ' , '), '([㐀-鿿])', ' \1 ', 'g')), 'B')
       || setweight(to_tsvector('simple', regexp_replace(left(description, 20000), '([㐀-鿿])', ' \1 ', 'g')), 'C')
       || array_to_tsvector(array_remove(
              array(select 'element:' || symbol from unnest(elements) symbol)
              || array(select 'formula:' || formula from unnest(formulas) formula)
              || array['functional:' || lower(functional), 'licence:' || licence, 'stage:' || stage,
                       'verdict:' || verdict, 'frames:' || case when frames > 0 then length(frames::text) end], null))
from fresh
on conflict (dataset_id, public) do update
set version = excluded.version, owner_id = excluded.owner_id, name = excluded.name, authors = excluded.authors,
    licence = excluded.licence, created = excluded.created, size = excluded.size, frames = excluded.frames,
    elements = excluded.elements, new_elements = excluded.new_elements, functional = excluded.functional,
    stage = excluded.stage, state = excluded.state, verdict = excluded.verdict, held_up = excluded.held_up,
    model = excluded.model, search = excluded.search
where catalogue is distinct from excluded;

-- name: set_dataset_facts
insert into dataset_facts (dataset_id, version, formulas, pairs)
values (%(dataset_id)s, %(version)s, %(formulas)s, %(pairs)s)
on conflict (dataset_id, version) do update set formulas = excluded.formulas, pairs = excluded.pairs;

-- name: page_of_catalogue
-- What this reader may see, in one order, from a place on: of public entries that the reader has a newer private version
-- of, that version instead.
select * from (
    (select dataset_id, version, owner_id, not public as private, name, authors, licence, created, size, frames, elements,
            new_elements, functional, stage, state, verdict, held_up, model, {key} as key
     from catalogue
     where public and {beyond} and {matching}
       and dataset_id <> all (array(select dataset_id from catalogue where not public and owner_id = %(reader_id)s))
     order by {key} {direction}, dataset_id {direction} limit %(limit)s)
    union all
    (select dataset_id, version, owner_id, not public, name, authors, licence, created, size, frames, elements,
            new_elements, functional, stage, state, verdict, held_up, model, {key}
     from catalogue
     where not public and owner_id = %(reader_id)s and {beyond} and {matching}
     order by {key} {direction}, dataset_id {direction} limit %(limit)s)
) as found
order by key {direction}, dataset_id {direction} limit %(limit)s;

-- name: count_catalogue
-- Counted up to `most`: beyond that nobody needs the number.
select count(*) as found from (
    (select from catalogue
     where public and {matching}
       and dataset_id <> all (array(select dataset_id from catalogue where not public and owner_id = %(reader_id)s))
     limit %(most)s)
    union all
    (select from catalogue where not public and owner_id = %(reader_id)s and {matching} limit %(most)s)
) as shown;

-- name: functionals
-- Of public datasets, the most frequent first.
select functional, count(*) as datasets from catalogue where public and functional is not null
group by functional order by datasets desc, functional limit %(most)s;

-- name: trained_facts
-- What is known of the content of datasets that are public now.
select v.dataset_id, v.version, c.validated -> 'elements' as elements, (c.validated ->> 'frames')::int as frames,
       coalesce(f.pairs, '{}') as pairs
from unnest(%(dataset_ids)s::uuid[], %(versions)s::int[]) as v (dataset_id, version)
join datasets d using (dataset_id, version)
join contributions c using (dataset_id, version)
left join dataset_facts f using (dataset_id, version)
where not d.private and c.validated is not null;

-- Versions of the model ----------------------------------------------------------------------------------------------

-- name: insert_alias_move
insert into alias_moves (alias, moved, version, previous, reason)
values (%(alias)s, %(moved)s, %(version)s, %(previous)s, %(reason)s) on conflict do nothing;

-- name: aliases
-- Where every alias points.
select distinct on (alias) alias, version from alias_moves order by alias, moved desc;

-- name: set_retired
insert into model_marks (version, retired, retired_reason) values (%(version)s, %(at)s, %(reason)s)
on conflict (version) do update set retired = excluded.retired, retired_reason = excluded.retired_reason;

-- name: set_marked
-- The numbers are all of them: the newest word counts.
insert into model_marks (version, marked, withdrawn_branches, withdrawn_ancestral_datasets)
values (%(version)s, %(at)s, %(branches)s, %(ancestral)s)
on conflict (version) do update set marked = excluded.marked, withdrawn_branches = excluded.withdrawn_branches,
    withdrawn_ancestral_datasets = excluded.withdrawn_ancestral_datasets
where model_marks.marked is null or model_marks.marked < excluded.marked;

-- name: history_of_models
-- A page of versions, newest first, older than one (null: from the newest). Of datasets that are private now, none.
select m.version, m.published, m.event ->> 'parent' as parent, m.event -> 'contributors' as contributors,
       (m.event ->> 'standard_score')::float8 as standard_score, jsonb_array_length(m.event -> 'datasets') as datasets,
       k.retired, k.retired_reason, coalesce(k.withdrawn_branches, '{}') as withdrawn_branches,
       coalesce(k.withdrawn_ancestral_datasets, 0) as withdrawn_ancestral_datasets, s.score,
       (select f ->> 'name' from jsonb_array_elements(m.event -> 'files') f where f ->> 'kind' = 'checkpoint' limit 1)
           as checkpoint,
       (select coalesce(jsonb_agg(jsonb_build_object(
                   'name', case when d.private then null else t ->> 'title' end,
                   'id', case when d.private then null else t -> 'dataset' ->> 'dataset_id' end)), '[]')
        from jsonb_array_elements(m.event -> 'datasets') t
        left join datasets d on d.dataset_id = (t -> 'dataset' ->> 'dataset_id')::uuid
                            and d.version = (t -> 'dataset' ->> 'version')::int
        where (t ->> 'new')::boolean) as new_datasets
from models m
left join model_marks k using (version)
left join lateral (
    select score from standard_scores where standard_scores.version = m.version order by standard desc limit 1
) s on true
where %(before)s::int[] is null or string_to_array(m.version, '.')::int[] < %(before)s::int[]
order by string_to_array(m.version, '.')::int[] desc limit %(limit)s;

-- name: count_models
select count(*) as versions from models;

-- name: models_with_scores
-- Versions with what became of them since, and their scores: newest standard dataset first.
select m.version, m.published, m.event, k.retired, k.retired_reason,
       coalesce(k.withdrawn_branches, '{}') as withdrawn_branches,
       coalesce(k.withdrawn_ancestral_datasets, 0) as withdrawn_ancestral_datasets,
       (select coalesce(jsonb_agg(score order by standard desc), '[]') from standard_scores s
        where s.version = m.version) as scores,
       (select coalesce(array_agg(child.version order by string_to_array(child.version, '.')::int[]), '{}')
        from models child where child.event ->> 'parent' = m.version) as children
from models m left join model_marks k using (version)
where m.version = any(%(versions)s) order by string_to_array(m.version, '.')::int[] desc;

-- name: newest_version
select version from models order by string_to_array(version, '.')::int[] desc limit 1;

-- name: scores_of
select score from standard_scores where version = %(version)s order by standard desc;

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
-- Operators ---------------------------------------------------------------------------------------------------------

-- name: add_dead_letter
-- One that failed again after an operator had it handled once more is open again.
insert into dead_letters (consumer, event_id, sequence, subject, about, reason, attempts, died)
values (%(consumer)s, %(event_id)s, %(sequence)s, %(subject)s, %(about)s, %(reason)s, %(attempts)s, %(died)s)
on conflict (consumer, event_id) do update
set reason = excluded.reason, attempts = excluded.attempts, died = excluded.died, state = 'open'
where dead_letters.died < excluded.died;

-- name: dead_letters
-- Open ones, oldest first.
select letter_id, consumer, event_id, sequence, subject, about, reason, attempts, died from dead_letters
where state = 'open' order by died limit %(limit)s;

-- name: close_dead_letter
-- No row when it is not open any more.
update dead_letters set state = %(state)s where letter_id = %(letter_id)s and state = 'open'
returning letter_id, consumer, event_id, sequence, subject, about, died;

-- name: add_audit_entry
insert into audit_log (person_id, person, action, about, reason)
values (%(person_id)s, %(person)s, %(action)s, %(about)s, %(reason)s);

-- name: audit_log
-- Newest first.
select entry_id, at, person, action, about, reason from audit_log
where %(before)s::bigint is null or entry_id < %(before)s order by entry_id desc limit %(limit)s;

-- name: people
-- By name or address, those who joined last first.
select * from people
where %(sought)s = '' or strpos(lower(name), lower(%(sought)s)) > 0 or strpos(email, lower(%(sought)s)) > 0
order by created desc, person_id limit %(limit)s;

-- name: set_suspended
-- No row when there is no such account, or it is so already.
update people set suspended = case when %(suspended)s then now() end
where person_id = %(person_id)s and (suspended is not null) <> %(suspended)s
returning person_id, email, name, created, operator, suspended;

-- name: sign_out_everywhere
delete from sessions where person_id = %(person_id)s;

-- name: set_operator
-- No row when there is no such account, or it is so already.
update people set operator = %(operator)s where email = %(email)s and operator <> %(operator)s
returning person_id, email, name, created, operator, suspended;

-- name: operators
select person_id, email, name, created, operator, suspended from people where operator order by email;
