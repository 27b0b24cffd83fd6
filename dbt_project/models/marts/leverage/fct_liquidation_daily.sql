-- venue x asset x event_date: positions closed by force, as far as they were observed. There is no free complete
-- source, so a row says on which venue and since when, and rows are no total of a market. A side without an order is
-- NULL, not zero.
with liquidation as (
    select
        split_part(series_id, '.', 2) as venue,
        split_part(series_id, '.', 3) as asset,
        split_part(series_id, '.', 4) as side,
        *
    from {{ ref('observation_agreed') }}
    where series_id like 'LIQ.%' and value is not null
)

select
    liquidation.venue,
    liquidation.asset,
    liquidation.event_date,
    {{ usd("sum(liquidation.value) filter (liquidation.side = 'LONG')") }} as liquidated_long_usd,
    {{ usd("sum(liquidation.value) filter (liquidation.side = 'SHORT')") }} as liquidated_short_usd,
    count(*)::int as n_orders,
    min(min(liquidation.event_at)) over (partition by liquidation.venue) as observed_since,
    'observed on ' || any_value(coalesce(venue.title, liquidation.venue)) || ' since ' || strftime(
        min(min(liquidation.event_at)) over (partition by liquidation.venue), '%Y-%m-%d %H:%MZ'
    ) as coverage,
    min(liquidation.source_id) as source_id,
    min(liquidation.n_publishers) as n_publishers,
    min(liquidation.n_lineages) as n_lineages,
    min(liquidation.n_measurements) as n_measurements,
    max(liquidation.grade) as grade, -- the worse of two letters is the later one
    max(liquidation.known_from) as known_from
from liquidation
left join {{ ref('venue') }} as venue on liquidation.venue = venue.venue
group by liquidation.venue, liquidation.asset, liquidation.event_date
order by liquidation.venue, liquidation.asset, liquidation.event_date
