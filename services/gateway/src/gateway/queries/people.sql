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

-- name: person_before_dataset
-- Whose session it is, and of one dataset: how many versions they may see, how much was told of these, and whether they
-- may see more than others: a dataset of theirs, or the name of a private one that overlaps with it.
select people.*, session_id, last_seen, seen.versions, seen.told,
       seen.own or exists (select from datasets where owner_id = people.person_id and private) as sees_more
from sessions join people using (person_id)
cross join lateral (
    select count(*) as versions, coalesce(sum(position), 0)::bigint as told,
           coalesce(bool_or(owner_id = people.person_id), false) as own
    from datasets join contributions using (dataset_id, version)
    where dataset_id = %(dataset_id)s and (not private or owner_id = people.person_id)
) as seen
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
