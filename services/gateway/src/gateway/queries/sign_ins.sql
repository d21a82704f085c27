-- name: insert_program_sign_in
-- No row when the short code is that of another one.
insert into program_sign_ins (secret_sha256, code_sha256, label, address, scopes, days, expires)
values (%(secret_sha256)s, %(code_sha256)s, %(label)s, %(address)s, %(scopes)s, %(days)s,
        now() + make_interval(secs => %(seconds)s))
on conflict (code_sha256) do nothing
returning expires;

-- name: program_sign_in_by_code
-- One that waits for a word.
select * from program_sign_ins where code_sha256 = %(code_sha256)s and state = 'waiting' and expires > now();

-- name: decide_program_sign_in
update program_sign_ins
set state = %(state)s, person_id = %(person_id)s, scopes = %(scopes)s, days = %(days)s
where code_sha256 = %(code_sha256)s and state = 'waiting' and expires > now()
returning label;

-- name: program_sign_in
-- Held until the transaction ends: its token is made once. `quick`: it asks sooner than it was told to.
select *, coalesce(asked > clock_timestamp() - make_interval(secs => %(seconds)s), false) as quick
from program_sign_ins where secret_sha256 = %(secret_sha256)s and expires > now()
for update;

-- name: touch_program_sign_in
update program_sign_ins set asked = clock_timestamp() where secret_sha256 = %(secret_sha256)s;

-- name: delete_program_sign_in
delete from program_sign_ins where secret_sha256 = %(secret_sha256)s;

-- name: delete_old_program_sign_ins
delete from program_sign_ins where expires <= now();
