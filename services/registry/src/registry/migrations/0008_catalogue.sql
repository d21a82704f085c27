-- What anyone may query changes by revisions, numbered in the order of commits: what was read of one revision is
-- right until the next. Of the changes that outsiders watch for there is a row each.

create table catalogue (
    one boolean primary key default true check (one),
    revision bigint not null
);
insert into catalogue (revision) values (0);

create table catalogue_changes (
    position bigint primary key,
    kind text not null check (kind in ('published', 'aliased', 'retired')),
    version text not null,
    alias text,
    previous_version text,
    reason text,
    at timestamptz not null,
    check ((kind = 'aliased') = (alias is not null))
);

-- What happened before there were revisions, in the order in which it did.
insert into catalogue_changes (position, kind, version, alias, previous_version, reason, at)
select row_number() over (order by at, rank, seq), kind, version, alias, previous_version, reason, at
from (
    select 'published' as kind, version, null as alias, null as previous_version, null as reason, published_at as at,
           0 as rank, 0::bigint as seq
    from models
    union all
    select 'aliased', version, alias, lag(version) over (partition by alias order by seq), reason, moved_at, 1, seq
    from alias_moves
    union all
    select 'retired', version, null, null, retired_reason, retired_at, 2, 0
    from models where retired_at is not null
) as before;
update catalogue set revision = coalesce((select max(position) from catalogue_changes), 0);

-- Runs when its transaction commits (the triggers are deferred), so that nothing else is waited for while the one row
-- is locked, numbers come in the order of commits, and no two transactions lock each other out.
create function catalogue_revised() returns trigger language plpgsql as $$
declare
    number bigint;
begin
    update catalogue set revision = revision + 1 returning revision into number;
    if tg_table_name = 'models' and tg_op = 'INSERT' then
        insert into catalogue_changes (position, kind, version, at) values (number, 'published', new.version, now());
    elsif tg_table_name = 'models' then
        insert into catalogue_changes (position, kind, version, reason, at)
        values (number, 'retired', new.version, new.retired_reason, now());
    elsif tg_table_name = 'alias_moves' then
        insert into catalogue_changes (position, kind, version, alias, previous_version, reason, at)
        values (number, 'aliased', new.version, new.alias,
                (select version from alias_moves where alias = new.alias and seq < new.seq order by seq desc limit 1),
                new.reason, now());
    end if;
    perform pg_notify('catalogue_' || tg_table_schema, '');
    return null;
end
$$;

create constraint trigger catalogue_published after insert on models
    deferrable initially deferred for each row execute function catalogue_revised();
create constraint trigger catalogue_retired after update of retired_at on models
    deferrable initially deferred for each row
    when (old.retired_at is null and new.retired_at is not null) execute function catalogue_revised();
create constraint trigger catalogue_aliased after insert on alias_moves
    deferrable initially deferred for each row execute function catalogue_revised();
create constraint trigger catalogue_scored after insert on standard_scores
    deferrable initially deferred for each row execute function catalogue_revised();
create constraint trigger catalogue_standard after insert on standard_versions
    deferrable initially deferred for each row execute function catalogue_revised();
-- Of datasets what models tell of them.
create constraint trigger catalogue_datasets
    after update of state, title, authors, licence, private on datasets
    deferrable initially deferred for each row
    when ((old.state = 'withdrawn', old.title, old.authors, old.licence, old.private)
          is distinct from (new.state = 'withdrawn', new.title, new.authors, new.licence, new.private))
    execute function catalogue_revised();
