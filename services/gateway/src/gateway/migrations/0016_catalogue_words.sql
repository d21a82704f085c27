-- A word, and what is left of it when any one of its letters is missing. Two words that differ by one mistake (a letter
-- too many, too few, another one, two that changed places) have one of these in common.
create function word_less_a_letter(word text) returns text[]
    language sql immutable strict parallel safe cost 1000
    return (select array_agg(distinct left(word, place) || substr(word, place + 2))
            from generate_series(0, length(word)) place);

-- Words that public datasets have or had in name, authors or description, to look for the nearest of a misspelt one. What is
-- suggested is looked up in the catalogue first: a word whose datasets are gone is only removed by a rebuild.
create table catalogue_words (word text primary key);
create index catalogue_words_near on catalogue_words using gin (word_less_a_letter(word));

insert into catalogue_words
select word from ts_stat('select search from catalogue where public') where word ~ '^[[:alpha:]]{4,24}$';
