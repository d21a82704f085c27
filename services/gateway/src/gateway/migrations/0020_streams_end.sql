-- An open live stream ends with the right to it: the feed hears whose session or token ended, or which account is suspended.
create function tell_rights_ended() returns trigger language plpgsql as $$
begin
    perform pg_notify('gateway_feed', 'person/' || old.person_id);
    return null;
end
$$;

create trigger tell_rights_ended after delete on sessions for each row execute function tell_rights_ended();
create trigger tell_rights_ended after delete on tokens for each row execute function tell_rights_ended();
create trigger tell_rights_ended after update of suspended on people for each row
when (new.suspended is not null) execute function tell_rights_ended();
