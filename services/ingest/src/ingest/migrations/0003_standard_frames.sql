-- The frames of the current standard dataset: no dataset ever trains on them. Whose they are is not kept here.
create table standard (
    one boolean primary key default true check (one),
    number integer not null default 0
);
insert into standard default values;

create table standard_frames (
    hash uuid primary key
);
