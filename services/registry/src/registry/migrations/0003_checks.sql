-- What a fresh process found out about a version's files, and attempts of a round whose training diverged.

alter table models add column checks jsonb not null default '[]';
alter table rounds add column divergences integer not null default 0;
