-- One row an event: its instant with the slack of its source, the last New York close before it, and its day 0 in the
-- calendars of the channels. An event of which only the day is known has no instant and no day 0.
with chosen as (
    {{ event_choice(['DECISION', 'PRESSER', 'SPEECH', 'RULE_STATUS', 'INCIDENT']) | indent(4) }}
),

event as (
    select
        event_id,
        any_value(kind) as kind,
        min(event_date) as event_date,
        max(event_at) as event_at,
        max(slack_s)::int as slack_s,
        {{ event_provenance() | indent(8) }}
    from chosen
    group by event_id
),

aligned as (
    select
        event_id,
        max(last_closed_session_date) filter (calendar = 'NYSE') as nyse_last_closed_date,
        max(last_close_at) filter (calendar = 'NYSE') as nyse_last_close_at,
        max(day0_date) filter (calendar = 'NYSE') as nyse_day0_date,
        max(day0_date) filter (calendar = 'TSE') as tse_day0_date,
        max(day0_date) filter (calendar = 'UTC247') as utc247_day0_date
    from {{ ref('session_alignment') }}
    group by event_id
)

select
    event.event_id,
    event.kind,
    event.event_date,
    event.event_at,
    event.slack_s,
    aligned.nyse_last_closed_date,
    aligned.nyse_last_close_at,
    aligned.nyse_day0_date,
    aligned.tse_day0_date,
    aligned.utc247_day0_date,
    event.* exclude (event_id, kind, event_date, event_at, slack_s)
from event
left join aligned on event.event_id = aligned.event_id
order by event.event_id
