-- name: one_rebuild
-- One at a time, as long as this session lasts.
select pg_try_advisory_lock(hashtext('gateway-rebuild')) as ours;

-- name: plan_as_tables_grow
-- A plan made for an empty table would stay.
set plan_cache_mode = force_custom_plan;

-- name: begin_beside
-- Of this session alone, and in front of the real one for every query that names the table.
create temporary table {table} (like gateway.{table} including defaults including constraints including indexes);

-- name: stand_still
-- Until the transaction ends: who writes waits, who reads does not. Every write of a read table comes after one of these.
lock table gateway.inbox, gateway.contributions in exclusive mode;

-- name: handled_before
select exists (select from gateway.inbox where consumer = %(consumer)s and event_id = %(event_id)s) as known;

-- name: touched_since
-- Entries that no event in the log may tell of yet: new ones, and what their owners changed meanwhile.
select dataset_id, version from datasets d
where greatest(created, made_public, withdrawn) >= %(since)s
   or not exists (select from pg_temp.contributions c where c.dataset_id = d.dataset_id and c.version = d.version)
order by dataset_id, version;

-- name: carry_over
-- What the log does not tell: how far watchers were told, and what was held up by a dead letter and has not moved since.
update pg_temp.contributions as fresh
set position = live.position,
    held_up = case when fresh.last_event > live.held_up_at then null else live.held_up end,
    held_up_at = live.held_up_at
from gateway.contributions as live
where live.dataset_id = fresh.dataset_id and live.version = fresh.version;

-- name: refresh_held_up
-- Lists show what is held up, too.
update pg_temp.catalogue as shown set held_up = c.held_up is not null
from pg_temp.contributions as c
where c.dataset_id = shown.dataset_id and c.version = shown.version and shown.held_up <> (c.held_up is not null);

-- name: changed_by_rebuild
-- Datasets that will be shown otherwise than before.
select distinct dataset_id, version from (
    select fresh.dataset_id, fresh.version from pg_temp.contributions as fresh
    left join gateway.contributions as live using (dataset_id, version) where fresh is distinct from live
    union all
    select fresh.dataset_id, fresh.version from pg_temp.catalogue as fresh
    left join gateway.catalogue as live using (dataset_id, public) where fresh is distinct from live
) as changed
order by dataset_id, version;

-- name: columns_of
select attname as name from pg_attribute
where attrelid = format('gateway.%%I', %(table)s::text)::regclass and attnum > 0 and not attisdropped order by attnum;

-- name: remove_gone
delete from gateway.{table} as live where not exists (select from pg_temp.{table} as fresh where {same});

-- name: put_fresh
insert into gateway.{table} as live select * from pg_temp.{table}
on conflict ({keys}) do update set {fresh} where live is distinct from excluded;

-- name: put_inbox
-- What the gateway that serves will find handled. Nothing is taken out: it waits with events that it has already seen.
insert into gateway.inbox select * from pg_temp.inbox on conflict do nothing;

-- name: put_reruns
-- Requests are ours and stay; their results are the log's.
insert into gateway.reruns as live select * from pg_temp.reruns
on conflict (rerun_id) do update
set finished = excluded.finished, finished_at = excluded.finished_at, failed = null
where live.finished is distinct from excluded.finished;
