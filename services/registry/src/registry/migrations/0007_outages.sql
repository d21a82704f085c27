-- Of the failures of a round, those that say nothing of its datasets: lost workers, broken GPUs, full disks.

alter table rounds add column outages integer not null default 0;
