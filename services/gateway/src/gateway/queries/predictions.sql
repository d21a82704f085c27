-- name: lock_predictions
-- Requests are counted one after the other.
select pg_advisory_xact_lock(hashtext('predictions'));

-- name: count_predictions
-- How many somebody asked for within the window, in how many seconds the oldest leaves it, and how many of all wait.
select count(*) filter (where requester = %(requester)s and requested > clock_timestamp() - w.width) as requests,
       extract(epoch from min(requested) filter (
           where requester = %(requester)s and requested > clock_timestamp() - w.width
       ) + w.width - clock_timestamp()) as free_in_seconds,
       count(*) filter (where finished is null) as waiting
from predictions, (select make_interval(secs => %(window_seconds)s) as width) as w
where finished is null or requested > clock_timestamp() - w.width
group by w.width;

-- name: insert_prediction
insert into predictions (prediction_id, model_version, requester)
values (%(prediction_id)s, %(model_version)s, %(requester)s);

-- name: set_prediction_sent
update predictions set sent = true where prediction_id = %(prediction_id)s;

-- name: prediction
-- With how many that were asked for earlier wait too.
select one.prediction_id, one.model_version, one.requested, one.finished, one.result, one.reason, one.remedy,
       (select count(*) from predictions as other
        where other.finished is null and other.sent and other.requested < one.requested) as ahead
from predictions as one where one.prediction_id = %(prediction_id)s and one.sent;

-- name: finish_prediction
-- Once: whatever comes later is old news.
update predictions
set finished = %(at)s, result = %(result)s, reason = %(reason)s, remedy = %(remedy)s
where prediction_id = %(prediction_id)s and finished is null;

-- name: expired_predictions
select prediction_id from predictions
where requested < clock_timestamp() - make_interval(secs => %(seconds)s) order by requested limit 500;

-- name: delete_predictions
delete from predictions where prediction_id = any(%(prediction_ids)s);
