-- series x source x event_date over the last two months: what should have come, and what did, as known at the cut-off.
-- landed, held, holiday and not_due speak for themselves. A source_gap is a reading that is not to be waited for: the
-- source gave later days without it, or a snapshot was missed, or nothing of the feed ever landed. The rest is late.
with cutoff as (
    select cutoff_at from {{ ref('cutoff') }}
),

expected as (
    select expected.*, feed.kind
    from {{ source('landing', 'expected') }} as expected
    inner join {{ source('landing', 'feed') }} as feed
        on expected.source_id = feed.source_id and expected.feed = feed.feed
),

reading as (
    select
        series_id,
        source_id,
        event_date,
        count(*) filter (known_to is null and value is not null) as n_readings,
        min(known_from) filter (value is not null) as known_from,
        arg_min(vintage_kind, known_from) filter (value is not null) as vintage_kind,
        coalesce(bool_or(known_to is null and obs_status = 'held'), false) as is_held,
        coalesce(bool_or(known_to is null and obs_status = 'holiday'), false) as is_holiday
    from {{ ref('fct_observation') }}
    group by all
),

newest as (
    select series_id, source_id, max(event_date) as event_date
    from reading
    where n_readings > 0
    group by all
),

attempt as (
    select
        outcome.source_id,
        outcome.feed,
        count(*) filter (outcome.outcome in ('LANDED', 'UNCHANGED', 'EMPTY_OK')) as n_accepted,
        nullif(arg_max(outcome.reason, (outcome.seen_at, outcome.recorded_at)), '') as reason
    from {{ source('landing', 'fetch_outcome') }} as outcome
    cross join cutoff
    where outcome.seen_at <= cutoff.cutoff_at
    group by all
),

placed as (
    select
        expected.series_id,
        expected.source_id,
        expected.feed,
        expected.event_date,
        expected.due_at,
        cutoff.cutoff_at,
        coalesce(reading.n_readings, 0)::int as n_readings, -- no row is no reading
        reading.known_from,
        reading.vintage_kind,
        attempt.reason,
        case
            when reading.n_readings > 0 then 'landed'
            when reading.is_held then 'held'
            when reading.is_holiday then 'holiday'
            when expected.due_at > cutoff.cutoff_at then 'not_due'
            when newest.event_date > expected.event_date then 'source_gap'
            when expected.kind = 'SNAPSHOT' then 'source_gap'
            when newest.event_date is null and coalesce(attempt.n_accepted, 0) = 0 then 'source_gap'
            else 'late'
        end as state,
        newest.event_date > expected.event_date as is_passed_over
    from expected
    cross join cutoff
    left join reading
        on expected.series_id = reading.series_id
        and expected.source_id = reading.source_id
        and expected.event_date = reading.event_date
    left join newest on expected.series_id = newest.series_id and expected.source_id = newest.source_id
    left join attempt on expected.source_id = attempt.source_id and expected.feed = attempt.feed
)

select
    series_id,
    source_id,
    feed,
    event_date,
    due_at,
    state,
    case
        when state = 'source_gap' and is_passed_over then 'later days were given without it'
        when state = 'source_gap' then coalesce(reason, 'nothing of this feed had landed by then')
        when state = 'late' then coalesce(reason, 'nothing came since it was due')
        when state = 'held' then 'withheld by the gate'
    end as state_reason,
    n_readings,
    case
        when state = 'landed' and vintage_kind != 'backfill_unknown'
            then greatest(0, date_diff('second', due_at, known_from) // 86400)
        when state in ('late', 'source_gap', 'held') then greatest(0, date_diff('second', due_at, cutoff_at) // 86400)
    end::int as days_late,
    known_from
from placed
order by series_id, source_id, event_date
