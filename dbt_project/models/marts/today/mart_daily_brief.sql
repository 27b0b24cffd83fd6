-- headline x day: the first screen. It selects from facts and puts them into words; no figure is made here.
-- Grain: headline_no. Sections: headlines, then what is late, held or missing by feed, then what is due next.
with cutoff as (
    select cutoff_at from {{ ref('cutoff') }}
),

-- channels that have a series and no fact of their own yet: the newest reading, or why there is none
channel as (
    select listed.*
    from (
        values
        (8, 'FX.USDJPY.NOON_NY', 'USD/JPY, noon in New York', 'yen a dollar'),
        (28, 'OI.HYPERLIQUID.BTC', 'On-chain leverage: BTC open interest on Hyperliquid', 'BTC'),
        (29, 'FUNDING.HYPERLIQUID.BTC', 'On-chain leverage: BTC funding on Hyperliquid', 'of the notional an hour')
    ) as listed (place, series_id, headline, words)
),

reading as (
    select
        *,
        lag(value) over by_time as previous_value,
        min(value) over prior60 as lowest60,
        max(value) over prior60 as highest60
    from {{ ref('observation_agreed') }}
    where value is not null
    window
        by_time as (partition by series_id order by event_date, event_at),
        prior60 as (partition by series_id order by event_date, event_at rows between 60 preceding and 1 preceding)
    qualify row_number() over (partition by series_id order by event_date desc, event_at desc) = 1
),

channel_headline as (
    select
        channel.place,
        channel.headline || coalesce(', ' || reading.event_date, '') as headline,
        reading.event_date,
        reading.value,
        {{ plain('reading.value') }} || ' ' || channel.words as value_text,
        series.unit,
        {{ signed(divide('(reading.value - reading.previous_value) * 100', 'reading.previous_value'), 2) }}
        || ' % on the reading before; the 60 before lay between ' || {{ plain('reading.lowest60') }} || ' and '
        || {{ plain('reading.highest60') }} as unusual,
        coalesce(
            reading.source_id || ' (' || reading.evidence_kind || ')', 'expected of ' || series.expected_from
        ) as who_says_it,
        reading.n_publishers,
        reading.n_lineages,
        reading.n_measurements,
        {{ grade_while_stale('reading.grade', 'coalesce(stale.is_stale, false)') }} as grade,
        coalesce(reading.obs_status, 'source_gap') as status,
        case when reading.value is null then coalesce(stale.reason, 'no source of this channel is asked here') end
            as reading,
        case when reading.value is null then 'a first reading' else 'the next reading' end as would_change_it,
        stale.next_due_at,
        'series ' || channel.series_id || ' ' || reading.event_date as why_figure,
        reading.known_from
    from channel
    left join reading on channel.series_id = reading.series_id
    left join {{ ref('brief_series') }} as stale on channel.series_id = stale.series_id
    left join {{ ref('dim_series') }} as series on channel.series_id = series.series_id
),

-- one row a feed, not one a day
feed as (
    select
        source_id,
        feed,
        state,
        min(event_date) as event_date,
        count(*) as n_readings,
        min(due_at) as due_at,
        arg_max(state_reason, (event_date, series_id)) as state_reason
    from {{ ref('mart_coverage_calendar') }}
    where state in ('late', 'source_gap', 'not_due')
    group by all
),

feed_row as (
    select
        case state when 'late' then 'late' when 'source_gap' then 'gap' else 'due' end as section,
        date_diff('second', timestamptz '2015-01-01 00:00:00+00', due_at) as place,
        source_id || '/' || feed as headline,
        event_date,
        case
            when state != 'not_due' then n_readings || ' readings since ' || event_date
        end as value_text,
        state as status,
        case when state != 'not_due' then state_reason end as reading,
        source_id as who_says_it,
        case when state = 'not_due' then due_at end as next_due_at
    from feed

    union all by name

    select
        'held' as section,
        0 as place,
        held.source_id || '/' || held.feed as headline,
        min(held.event_date) as event_date,
        case
            when count(*) = 1 then min(held.series_id || ' of ' || held.event_date) else count(*) || ' figures'
        end || ' withheld' as value_text,
        'held' as status,
        hold.why as reading,
        'capmig publish --ack ' || string_agg(distinct hold.hold_ids, ',' order by hold.hold_ids) || ' --why ...'
            as would_change_it,
        held.source_id as who_says_it,
        null::timestamptz as next_due_at
    from {{ ref('fct_observation') }} as held
    left join (
        select
            source_id,
            series_id,
            event_date,
            event_at,
            string_agg(distinct why, '; ' order by why) as why,
            string_agg(distinct coalesce(batch_id, hold_id), ',' order by coalesce(batch_id, hold_id)) as hold_ids
        from {{ ref('hold') }}
        where released_at is null
        group by all
    ) as hold
        on held.source_id = hold.source_id
        and held.series_id = hold.series_id
        and held.event_date = hold.event_date
        and held.event_at is not distinct from hold.event_at
    where held.obs_status = 'held' and held.known_to is null
    group by held.source_id, held.feed, hold.why -- what is released together is told together

    union all by name

    select
        'held' as section,
        1 as place,
        'independence of ' || lineage_b || ' from ' || lineage_a || ', ' || subject as headline,
        first_date as event_date,
        'counted as one lineage' as value_text,
        'held' as status,
        'equal to the last digit over ' || n_periods || ' periods, ' || first_date || ' to ' || last_date as reading,
        'capmig publish --ack ' || hold_id || ' --why ...' as would_change_it,
        lineage_b as who_says_it,
        null::timestamptz as next_due_at
    from {{ ref('lineage_copy') }}
    where is_counted_as_one and hold_id is not null
),

every as (
    select 'headline' as section, * from {{ ref('brief_flow') }}
    union all by name
    select 'headline' as section, * from {{ ref('brief_price') }}
    union all by name
    select 'headline' as section, * from {{ ref('brief_rate') }}
    union all by name
    select 'headline' as section, * from {{ ref('brief_onchain') }}
    union all by name
    select 'headline' as section, * from {{ ref('brief_leverage') }}
    union all by name
    select 'headline' as section, * from {{ ref('brief_policy') }}
    union all by name
    select 'headline' as section, * from {{ ref('brief_carry') }}
    union all by name
    select 'headline' as section, * from channel_headline
    union all by name
    select 'headline' as section, * from {{ ref('brief_event') }}
    union all by name
    select 'headline' as section, * from {{ ref('brief_migration') }}
    union all by name
    select * from feed_row
)

select
    cutoff.cutoff_at as as_of,
    row_number() over (
        order by
            list_position(['headline', 'late', 'held', 'gap', 'due'], every.section),
            every.place,
            every.headline,
            every.reading,
            every.would_change_it
    )::int as headline_no,
    every.section,
    every.headline,
    every.event_date,
    every.value,
    every.value_text,
    every.unit,
    every.unusual,
    every.who_says_it,
    every.n_publishers,
    every.n_lineages,
    every.n_measurements,
    every.grade,
    every.status,
    every.reading,
    every.would_change_it,
    strftime(every.next_due_at, 'due %Y-%m-%d %H:%MZ') as due_next,
    every.why_figure,
    every.known_from
from every
cross join cutoff
order by headline_no
