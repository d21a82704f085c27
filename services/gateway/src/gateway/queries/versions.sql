-- name: insert_alias_move
insert into alias_moves (alias, moved, version, previous, reason)
values (%(alias)s, %(moved)s, %(version)s, %(previous)s, %(reason)s)
on conflict (alias, moved) do update
set version = excluded.version, previous = excluded.previous, reason = excluded.reason
where (alias_moves.version, alias_moves.reason) < (excluded.version, excluded.reason);

-- name: aliases
-- Where every alias points.
select distinct on (alias) alias, version from alias_moves order by alias, moved desc;

-- name: set_retired
insert into model_marks (version, retired, retired_reason) values (%(version)s, %(at)s, %(reason)s)
on conflict (version) do update set retired = excluded.retired, retired_reason = excluded.retired_reason
where model_marks.retired is null
   or (model_marks.retired, model_marks.retired_reason) < (excluded.retired, excluded.retired_reason);

-- name: set_marked
-- The numbers are all of them: the newest word counts.
insert into model_marks (version, marked, withdrawn_branches, withdrawn_ancestral_datasets)
values (%(version)s, %(at)s, %(branches)s, %(ancestral)s)
on conflict (version) do update set marked = excluded.marked, withdrawn_branches = excluded.withdrawn_branches,
    withdrawn_ancestral_datasets = excluded.withdrawn_ancestral_datasets
where model_marks.marked is null
   or (model_marks.marked, model_marks.withdrawn_branches, model_marks.withdrawn_ancestral_datasets)
      < (excluded.marked, excluded.withdrawn_branches, excluded.withdrawn_ancestral_datasets);

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
