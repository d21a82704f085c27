-- Versions of the standard dataset, as StandardReleased events told of them.
create table standard_versions (
    number int primary key,
    released timestamptz not null,
    event jsonb not null
);

-- StandardScores: of a published version when it was published, and again whenever it was re-scored.
create table standard_scores (
    version text not null,
    standard int not null,
    scored timestamptz not null,
    score jsonb not null,
    primary key (version, standard)
);
