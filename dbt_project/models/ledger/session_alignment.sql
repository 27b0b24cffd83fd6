-- Where an event's instant falls in each calendar: the last close before it, and its day 0 (the first session that
-- closes after it). Grain: event_id x calendar.
with instant as (
    {{ event_instant() | indent(4) }}
),

event as (
    select
        instant.event_id,
        any_value(known.kind) as kind,
        any_value(instant.event_at) as event_at,
        any_value(instant.slack_s) as slack_s
    from instant
    inner join {{ ref('event_known') }} as known on instant.event_id = known.event_id
    where known.kind in ('DECISION', 'PRESSER', 'SPEECH', 'RULE_STATUS', 'INCIDENT')
    group by instant.event_id
),

calendar as (
    select distinct calendar from {{ source('landing', 'market_session') }}
),

placed as (
    select event.*, calendar.calendar from event cross join calendar
)

select
    placed.event_id,
    placed.kind,
    placed.event_at,
    placed.slack_s,
    placed.calendar,
    before.session_date as last_closed_session_date,
    before.close_at as last_close_at,
    after.session_date as day0_date,
    after.open_at as day0_open_at,
    after.close_at as day0_close_at
from placed
asof left join {{ source('landing', 'market_session') }} as before
    on placed.calendar = before.calendar and placed.event_at >= before.close_at
asof left join {{ source('landing', 'market_session') }} as after
    on placed.calendar = after.calendar and placed.event_at < after.close_at
order by placed.event_id, placed.calendar
