-- name: insert_receipt
insert into receipts (dataset_id, version, round_id, issued, document)
values (%(dataset_id)s, %(version)s, %(round_id)s, %(issued)s, %(document)s) on conflict do nothing;

-- name: receipts
-- Of every version of a dataset, newest first. The caller has seen that the reader may see it; versions that were
-- private when others were not stay their owner's.
select receipts.document from receipts join datasets using (dataset_id, version)
where dataset_id = %(dataset_id)s and (not private or owner_id = %(reader_id)s)
order by issued desc, round_id limit %(most)s;
