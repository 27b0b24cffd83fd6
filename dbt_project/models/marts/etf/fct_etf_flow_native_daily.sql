-- asset x session x fund: a fund's flow in coins, by two ways that share no input. By price: its published dollars over
-- the close of the session's UTC day. By holdings: what it holds less what it held a session before; a fee that is paid
-- in coins stands in that and is not added back. The holdings' figure is taken where there is one.
with fund as (
    select
        split_part(series_id, '.', 1) as family,
        split_part(series_id, '.', 2) as asset,
        split_part(series_id, '.', 3) as ticker,
        *
    from {{ ref('observation_agreed') }}
    where (series_id like 'ETF_FLOW.%' or series_id like 'HOLDING.%')
        and split_part(series_id, '.', 3) != 'TOTAL'
        and value is not null
),

session as (
    select session_date, lag(session_date) over (order by session_date) as prev_session_date
    from {{ ref('dim_market_session') }}
    where calendar = 'NYSE'
),

paired as (
    select
        flow.*,
        price.close_usd,
        price.known_from as price_known_from,
        price.grade as price_grade,
        held.value as holding,
        held.value - before.value as holding_change,
        greatest(held.known_from, before.known_from) as holding_known_from,
        greatest(held.grade, before.grade) as holding_grade
    from fund as flow
    inner join session on flow.event_date = session.session_date
    left join {{ ref('fct_asset_return_daily') }} as price
        on flow.asset = price.asset and flow.event_date = price.session_date
    left join fund as held
        on held.family = 'HOLDING'
        and flow.asset = held.asset and flow.ticker = held.ticker and flow.event_date = held.event_date
    left join fund as before
        on before.family = 'HOLDING'
        and flow.asset = before.asset and flow.ticker = before.ticker
        and session.prev_session_date = before.event_date
    where flow.family = 'ETF_FLOW' and (price.close_usd is not null or held.value - before.value is not null)
)

select
    asset,
    ticker,
    event_date as session_date,
    {{ usd('value') }} as net_flow_usd,
    close_usd,
    {{ proportion('value', '1', 'close_usd', 8) }}::decimal(18, 8) as priced_flow_coin,
    holding::decimal(38, 18) as holding_coin,
    holding_change::decimal(38, 18) as holding_change_coin,
    coalesce(holding_change, {{ proportion('value', '1', 'close_usd', 8) }})::decimal(18, 8) as flow_native_coin,
    case when holding_change is not null then 'holdings' else 'price' end as native_method,
    source_id,
    n_publishers,
    n_lineages,
    n_measurements,
    spread_rel,
    agreement_status,
    case
        when holding_change is not null then holding_grade
        else {{ worst_grade(['grade', 'price_grade']) }}
    end as grade,
    payload_sha256,
    greatest(known_from, price_known_from, holding_known_from) as known_from
from paired
order by asset, session_date, ticker
