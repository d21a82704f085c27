-- name: lock_webhooks
-- Until the transaction ends nobody else adds a webhook of this person.
select pg_advisory_xact_lock(hashtext('webhooks:' || %(person_id)s::text));

-- name: insert_webhook
insert into webhooks (person_id, url, types, secret) values (%(person_id)s, %(url)s, %(types)s, %(secret)s)
returning *;

-- name: webhooks_of
select * from webhooks where person_id = %(person_id)s order by created, webhook_id;

-- name: delete_webhook
delete from webhooks where webhook_id = %(webhook_id)s and person_id = %(person_id)s;

-- name: enable_webhook
-- What waits is tried at once.
with enabled as (
    update webhooks set disabled = null, disabled_reason = '', failing_since = null
    where webhook_id = %(webhook_id)s and person_id = %(person_id)s
    returning webhook_id
), due_now as (
    update webhook_deliveries set due = now(), attempts = 0
    where webhook_id in (select webhook_id from enabled) and state = 'waiting'
)
select webhook_id from enabled;

-- name: own_webhook
select * from webhooks where webhook_id = %(webhook_id)s and person_id = %(person_id)s;

-- name: deliveries_of
-- The newest first.
select delivery_id, event_id, type, about, created, state, attempts, due, tried, status, problem, seconds
from webhook_deliveries
where webhook_id = %(webhook_id)s and (%(before)s::bigint is null or delivery_id < %(before)s)
order by delivery_id desc limit %(most)s;

-- name: replay_delivery
-- Whatever became of it: it waits again, from its first attempt.
update webhook_deliveries set state = 'waiting', attempts = 0, due = now(), claimed_until = null
where delivery_id = %(delivery_id)s
  and webhook_id in (select webhook_id from webhooks where webhook_id = %(webhook_id)s and person_id = %(person_id)s)
returning delivery_id;

-- name: insert_deliveries
-- One for each webhook that wants events of this type and was there when it happened.
insert into webhook_deliveries (webhook_id, event_id, type, about, body)
select webhook_id, %(event_id)s, %(type)s, %(about)s, %(body)s from webhooks join people using (person_id)
where %(type)s = any(types) and disabled is null and webhooks.created <= %(at)s and suspended is null
on conflict do nothing;

-- name: notify_webhooks
select pg_notify('gateway_webhooks', '');

-- name: claim_deliveries
-- One of each webhook that has none under way: who is slow waits for itself alone. Of two replicas that choose the
-- same one the second finds it claimed.
with next as (
    select distinct on (webhook_id) delivery_id, due
    from webhook_deliveries as one join webhooks using (webhook_id)
    where state = 'waiting' and due <= now() and disabled is null
      and not exists (
          select 1 from webhook_deliveries as other
          where other.webhook_id = one.webhook_id and other.claimed_until > now()
      )
    order by webhook_id, due, delivery_id
), chosen as (
    select delivery_id from next order by due limit %(most)s
), claimed as (
    update webhook_deliveries set claimed_until = now() + make_interval(secs => %(seconds)s)
    where delivery_id in (select delivery_id from chosen) and (claimed_until is null or claimed_until <= now())
    returning *
)
select claimed.*, url, secret from claimed join webhooks using (webhook_id);

-- name: set_delivered
with delivered as (
    update webhook_deliveries set state = 'delivered', attempts = attempts + 1, claimed_until = null, tried = now(),
        status = %(status)s, problem = '', seconds = %(seconds)s
    where delivery_id = %(delivery_id)s
    returning webhook_id
)
update webhooks set failing_since = null where webhook_id in (select webhook_id from delivered);

-- name: set_not_delivered
-- `delay` null: it is given up.
with failed as (
    update webhook_deliveries set attempts = attempts + 1, claimed_until = null, tried = now(), status = %(status)s,
        problem = %(problem)s, seconds = %(seconds)s,
        state = case when %(delay)s::float is null then 'failed' else 'waiting' end,
        due = now() + make_interval(secs => coalesce(%(delay)s::float, 0))
    where delivery_id = %(delivery_id)s
    returning webhook_id
)
update webhooks set failing_since = coalesce(failing_since, now()) where webhook_id in (select webhook_id from failed);

-- name: disable_webhook
update webhooks set disabled = now(), disabled_reason = %(reason)s
from people where people.person_id = webhooks.person_id and webhook_id = %(webhook_id)s and disabled is null
returning url, people.email, people.language;

-- name: disable_failing_webhooks
-- Those that have not taken anything for so long, although something was tried in the later half of it: while we
-- were away nobody failed.
update webhooks set disabled = now(), disabled_reason = 'failing'
from people where people.person_id = webhooks.person_id and disabled is null
  and failing_since <= now() - make_interval(secs => %(seconds)s)
  and exists (
      select 1 from webhook_deliveries as one
      where one.webhook_id = webhooks.webhook_id and tried >= failing_since + make_interval(secs => %(seconds)s) / 2
  )
returning webhook_id, url, people.email, people.language;

-- name: delete_old_deliveries
delete from webhook_deliveries where created < now() - make_interval(days => %(days)s) and claimed_until is null;
