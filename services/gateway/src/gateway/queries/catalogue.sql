-- name: refresh_catalogue
-- The rows of one dataset as they should be now: its newest public version, and a private one that is newer.
-- Chinese is searched by its characters, all else by its words. Words of a public row are kept for those who misspell
-- them, in one order: two who bring the same new words wait for each other at the first.
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
        order by queued_at desc, round_id limit 1
    ) r on true
), gone as (
    delete from catalogue using (select %(dataset_id)s::uuid as dataset_id) of
    where catalogue.dataset_id = of.dataset_id and not exists (select from fresh where fresh.public = catalogue.public)
), put as (
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
where catalogue is distinct from excluded
returning public, search
)
insert into catalogue_words
select distinct lexeme from put, unnest(search)
where public and lexeme ~ '^[[:alpha:]]{4,24}$'
  and not exists (select from catalogue_words known where known.word = lexeme)
order by lexeme
on conflict do nothing;

-- name: near_words
-- The word itself, and those that are the same once each has lost a letter. Planned without the limit: for a few of
-- what is taken for many, the database would read all words one after the other.
with near as materialized (
    select word from catalogue_words where word_less_a_letter(word) && word_less_a_letter(%(word)s)
)
select word from near limit %(most)s;

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

-- name: page_of_few
-- The same, of a search that few rows match: found by the index of words, then sorted. In the list's order the database
-- would read and throw away nearly all rows, and it cannot know that words' beginnings are rare.
with found as materialized (
    select *, {key} as key from catalogue where (public or owner_id = %(reader_id)s) and {matching}
)
select dataset_id, version, owner_id, not public as private, name, authors, licence, created, size, frames, elements,
       new_elements, functional, stage, state, verdict, held_up, model, key
from found
where {beyond} and (not public or dataset_id <> all (
    array(select dataset_id from catalogue where not public and owner_id = %(reader_id)s)))
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
