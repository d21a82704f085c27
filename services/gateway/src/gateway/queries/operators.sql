-- name: add_dead_letter
-- One that failed again after an operator had it handled once more is open again.
insert into dead_letters (consumer, event_id, sequence, subject, about, reason, attempts, died)
values (%(consumer)s, %(event_id)s, %(sequence)s, %(subject)s, %(about)s, %(reason)s, %(attempts)s, %(died)s)
on conflict (consumer, event_id) do update
set reason = excluded.reason, attempts = excluded.attempts, died = excluded.died, state = 'open'
where dead_letters.died < excluded.died;

-- name: dead_letters
-- Open ones, oldest first.
select letter_id, consumer, event_id, sequence, subject, about, reason, attempts, died from dead_letters
where state = 'open' order by died limit %(limit)s;

-- name: close_dead_letter
-- No row when it is not open any more.
update dead_letters set state = %(state)s where letter_id = %(letter_id)s and state = 'open'
returning letter_id, consumer, event_id, sequence, subject, about, died;

-- name: add_audit_entry
insert into audit_log (person_id, person, action, about, reason)
values (%(person_id)s, %(person)s, %(action)s, %(about)s, %(reason)s);

-- name: audit_log
-- Newest first.
select entry_id, at, person, action, about, reason from audit_log
where %(before)s::bigint is null or entry_id < %(before)s order by entry_id desc limit %(limit)s;

-- name: people
-- By name or address, those who joined last first.
select * from people
where %(sought)s = '' or strpos(lower(name), lower(%(sought)s)) > 0 or strpos(email, lower(%(sought)s)) > 0
order by created desc, person_id limit %(limit)s;

-- name: set_suspended
-- No row when there is no such account, or it is so already.
update people set suspended = case when %(suspended)s then now() end
where person_id = %(person_id)s and (suspended is not null) <> %(suspended)s
returning person_id, email, name, created, operator, suspended;

-- name: sign_out_everywhere
delete from sessions where person_id = %(person_id)s;

-- name: set_operator
-- No row when there is no such account, or it is so already.
update people set operator = %(operator)s where email = %(email)s and operator <> %(operator)s
returning person_id, email, name, created, operator, suspended;

-- name: operators
select person_id, email, name, created, operator, suspended from people where operator order by email;
