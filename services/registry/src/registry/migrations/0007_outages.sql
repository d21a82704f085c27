-- Of the failures of a round, those that say nothing of its datasets: lost workers, broken GPUs, full disks.

alter table rounds add column outages integer not null default 0;

-- A dataset of a single frame has nothing left to train on: it gets an answer like any other.
alter table datasets drop constraint datasets_train_frames_check;
alter table datasets add constraint datasets_train_frames_check check (train_frames >= 0);
