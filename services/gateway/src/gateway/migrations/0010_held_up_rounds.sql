-- The newest TrainingHeldUp event: no live worker can run the attempt that waits.
alter table rounds add column waits_for jsonb;
