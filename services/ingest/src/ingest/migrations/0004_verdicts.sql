-- What the metric said of a dataset version: one that is not sound has no say over the frames of others.
-- Null: not judged yet. `judged` is when, for verdicts may come late and out of order.
alter table datasets add column sound boolean;
alter table datasets add column judged timestamptz;
