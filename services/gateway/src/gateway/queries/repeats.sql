-- name: claim_key
-- No row when the key is taken: by an answer that is still kept, or by a request that may still be under way.
insert into idempotency_keys (person_id, key, request_sha256)
values (%(person_id)s, %(key)s, %(request_sha256)s)
on conflict (person_id, key) do update
set request_sha256 = excluded.request_sha256, begun = excluded.begun, status = null, headers = '{}', body = '',
    shown_once = false
where idempotency_keys.begun < clock_timestamp() - make_interval(
    secs => case when idempotency_keys.status is null then %(abandoned_seconds)s::float8 else %(kept_seconds)s end)
returning begun;

-- name: claimed_key
select request_sha256, status, headers, body, shown_once from idempotency_keys
where person_id = %(person_id)s and key = %(key)s;

-- name: keep_answer
-- Of the request that claimed the key at that time, and of no later one.
update idempotency_keys
set status = %(status)s, headers = %(headers)s, body = %(body)s, shown_once = %(shown_once)s
where person_id = %(person_id)s and key = %(key)s and begun = %(begun)s;

-- name: release_key
delete from idempotency_keys
where person_id = %(person_id)s and key = %(key)s and begun = %(begun)s and status is null;

-- name: delete_old_keys
delete from idempotency_keys where begun < now() - make_interval(secs => %(kept_seconds)s);
