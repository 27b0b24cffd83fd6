-- market x trader_group x event_date: futures on the CME by who holds them, as reported for a Tuesday and known on the
-- Friday after, with the net position in what a contract is of, and how far it stands from its own three years.
with market as (
    select listed.*
    from (
        values
        ('BTC', 5, 'BTC'),
        ('ETH', 50, 'ETH'),
        ('JPY', 12500000, 'JPY')
    ) as listed (market, contract_size, notional_unit)
),

price as (
    select
        case when series_id like 'FX.%' then 'JPY' else split_part(series_id, '.', 2) end as market,
        series_id,
        event_date,
        value,
        grade,
        known_from,
        case series_id when 'FX.USDJPY.NOON_NY' then 0 when 'FX.USDJPY.ECB' then 1 else 2 end as place
    from {{ ref('observation_agreed') }}
    where series_id in ('PRICE.BTC.USD', 'PRICE.ETH.USD') or series_id like 'FX.USDJPY.%'
),

cell as (
    select
        split_part(series_id, '.', 2) as market,
        lower(split_part(series_id, '.', 3)) as trader_group,
        split_part(series_id, '.', 4) as side,
        event_date,
        value::decimal(18, 2) as contracts,
        source_id,
        lineage_root,
        n_publishers,
        n_lineages,
        n_measurements,
        grade,
        known_from,
        payload_sha256
    from {{ ref('observation_agreed') }}
    where series_id like 'COT.%' and value is not null
),

-- a group's sides, and the market's open interest beside each of them
report as (
    select
        held.market,
        held.trader_group,
        held.event_date,
        max(held.contracts) filter (held.side = 'LONG') as long_contracts,
        max(held.contracts) filter (held.side = 'SHORT') as short_contracts,
        max(held.contracts) filter (held.side = 'SPREAD') as spread_contracts,
        max(total.contracts) as open_interest_contracts,
        arg_max(held.source_id, (held.known_from, held.side)) as source_id,
        arg_max(held.lineage_root, (held.known_from, held.side)) as lineage_root,
        arg_max(held.payload_sha256, (held.known_from, held.side)) as payload_sha256,
        min(held.n_publishers) as n_publishers,
        min(held.n_lineages) as n_lineages,
        min(held.n_measurements) as n_measurements,
        greatest(max(held.grade), max(total.grade)) as grade,
        greatest(max(held.known_from), max(total.known_from)) as known_from
    from cell as held
    left join cell as total
        on held.market = total.market and held.event_date = total.event_date and total.trader_group = 'open_interest'
    where held.trader_group != 'open_interest'
    group by held.market, held.trader_group, held.event_date
),

-- what a coin, or a dollar in yen, cost when the report came out: of the newest day up to the report's own
priced as (
    select
        report.market,
        report.event_date,
        report.known_from,
        max_by(price, (price.event_date, -price.place)) as price
    from (select distinct market, event_date, known_from from report) as report
    inner join price
        on report.market = price.market
        and price.event_date between report.event_date - 7 and report.event_date
        and price.known_from <= report.known_from
    where price.value is not null
    group by all
),

netted as (
    select
        report.*,
        report.long_contracts - report.short_contracts as net_contracts,
        priced.price
    from report
    left join priced
        on report.market = priced.market
        and report.event_date = priced.event_date
        and report.known_from = priced.known_from
),

-- three years strictly before, by the calendar: a report that is missing shifts nothing
windowed as (
    select
        *,
        count(net_contracts) over prior as n_prior,
        median(net_contracts) over prior as median_net,
        mad(net_contracts) over prior as mad_net,
        max(known_from) over prior as prior_known_from
    from netted
    window prior as (
        partition by market, trader_group
        order by event_date range between interval 1092 day preceding and interval 1 day preceding
    )
)

select
    windowed.event_date,
    windowed.market,
    windowed.trader_group,
    windowed.long_contracts,
    windowed.short_contracts,
    windowed.spread_contracts,
    windowed.net_contracts,
    windowed.net_contracts - lag(windowed.net_contracts) over by_week as net_change_contracts,
    windowed.open_interest_contracts,
    {{ divide('windowed.net_contracts', 'windowed.open_interest_contracts') }} as net_share_oi,
    (windowed.net_contracts * market.contract_size::decimal(10, 0))::decimal(38, 18) as net_notional,
    market.notional_unit,
    case market.notional_unit
        when 'JPY'
            then {{ proportion('windowed.net_contracts', 'market.contract_size', 'windowed.price.value') }}
        else {{ product('windowed.net_contracts * market.contract_size', 'windowed.price.value') }}
    end::decimal(24, 2) as net_notional_usd,
    windowed.price.series_id as price_series_id,
    windowed.price.event_date as price_date,
    case
        when windowed.n_prior >= 125 and windowed.mad_net > 0
            then {{ ratio('(windowed.net_contracts - windowed.median_net)::double '
                ~ '/ (1.4826 * windowed.mad_net::double)') }}
    end as z156,
    case
        when windowed.net_contracts is null then 'not_final'
        when windowed.n_prior < 125 then 'short_history'
        when windowed.mad_net = 0 then 'no_dispersion'
    end as z156_reason,
    windowed.source_id,
    windowed.lineage_root,
    windowed.n_publishers,
    windowed.n_lineages,
    windowed.n_measurements,
    windowed.grade,
    windowed.known_from,
    greatest(windowed.known_from, windowed.prior_known_from) as scores_known_from,
    windowed.payload_sha256
from windowed
inner join market on windowed.market = market.market
window by_week as (partition by windowed.market, windowed.trader_group order by windowed.event_date)
order by windowed.event_date, windowed.market, windowed.trader_group
