-- venue x asset x event_date: the last open interest of the UTC day and the mean funding of the day. Each venue counts
-- in its own way (`oi_convention`), so rows of two venues are not to be added up. Dollars are the venue's own figure,
-- else coins x the mark price of the same instant.
with reading as (
    select
        split_part(series_id, '.', 1) as family,
        split_part(series_id, '.', 2) as venue,
        split_part(series_id, '.', 3) as asset,
        split_part(series_id, '.', 4) as side,
        event_date,
        event_at,
        value,
        source_id,
        n_publishers,
        n_lineages,
        n_measurements,
        grade,
        known_from
    from {{ ref('observation_agreed') }}
    where split_part(series_id, '.', 1) in ('OI', 'OI_USD', 'MARK', 'FUNDING') and value is not null
),

-- of the stocks the last reading of the day counts, of funding all of them
counted as (
    select *
    from reading
    qualify
        family = 'FUNDING'
        or row_number() over (
            partition by family, venue, asset, side, event_date order by event_at desc, source_id
        ) = 1
),

daily as (
    select
        venue,
        asset,
        event_date,
        max(value) filter (family = 'OI') as oi_native,
        max(value) filter (family = 'OI_USD' and side = '') as own_usd,
        max(value) filter (family = 'OI_USD' and side = 'LONG') as long_usd,
        max(value) filter (family = 'OI_USD' and side = 'SHORT') as short_usd,
        max(value) filter (family = 'MARK') as mark,
        max(event_at) filter (family in ('OI', 'OI_USD')) as oi_at,
        max(event_at) filter (family = 'MARK') as mark_at,
        {{ divide(
            "8760 * sum(value) filter (family = 'FUNDING')::decimal(28, 18)", "count(*) filter (family = 'FUNDING')"
        ) }} as funding_annualised,
        (count(*) filter (family = 'FUNDING'))::int as n_funding_readings,
        min(source_id) as source_id,
        min(n_publishers) as n_publishers,
        min(n_lineages) as n_lineages,
        min(n_measurements) as n_measurements,
        max(grade) as grade, -- the worse of two letters is the later one
        max(known_from) as known_from
    from counted
    group by venue, asset, event_date
    having bool_or(family != 'MARK')
)

select
    daily.venue,
    daily.asset,
    daily.event_date,
    daily.oi_native,
    coalesce(
        {{ usd('daily.own_usd') }},
        case
            when daily.mark_at = daily.oi_at
                then {{ usd('daily.oi_native::decimal(20, 6) * daily.mark::decimal(18, 10)') }}
        end
    ) as oi_usd,
    {{ usd('daily.long_usd') }} as oi_long_usd,
    {{ usd('daily.short_usd') }} as oi_short_usd,
    venue.oi_convention,
    daily.oi_at,
    daily.mark::decimal(20, 8) as mark_price_usd,
    case
        when lag(daily.event_date) over by_day = daily.event_date - 1
            then daily.oi_native - lag(daily.oi_native) over by_day
    end as oi_change_native,
    daily.funding_annualised,
    daily.n_funding_readings,
    daily.source_id,
    daily.n_publishers,
    daily.n_lineages,
    daily.n_measurements,
    daily.grade,
    daily.known_from
from daily
left join {{ ref('venue') }} as venue on daily.venue = venue.venue
window by_day as (partition by daily.venue, daily.asset order by daily.event_date)
order by daily.venue, daily.asset, daily.event_date
