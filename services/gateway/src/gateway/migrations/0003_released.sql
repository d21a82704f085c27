-- A TrainingReleased event: the dataset waits for another round, or was set aside, whatever became of this one.
alter table round_datasets add column released jsonb;
