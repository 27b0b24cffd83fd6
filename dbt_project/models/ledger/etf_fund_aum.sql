-- Listed funds per session with the assets that were known before it opened. Grain: asset x ticker x session_date.
with fund as (
    select
        event_id,
        max(value_text) filter (attribute = 'ticker') as ticker,
        max(value_text) filter (attribute = 'asset') as asset,
        max(value_text) filter (attribute = 'listed_on')::date as listed_on,
        max(value_text) filter (attribute = 'delisted_on')::date as delisted_on
    from {{ ref('event_known') }}
    where kind = 'FUND'
    group by event_id
),

session as (
    select
        session.session_date,
        session.open_at,
        lag(session.session_date, 10) over (order by session.session_date) as ten_before
    from {{ source('landing', 'market_session') }} as session
    cross join {{ ref('cutoff') }} as cutoff
    where session.calendar = 'NYSE' and session.open_at <= cutoff.cutoff_at
),

listed as (
    select fund.asset, fund.ticker, session.session_date, session.open_at, session.ten_before
    from fund
    inner join session
        on session.session_date >= fund.listed_on
        and (fund.delisted_on is null or session.session_date < fund.delisted_on)
),

-- the newest per-fund figure that was known before the session opened, ten sessions old at most
aum as (
    select
        listed.asset,
        listed.ticker,
        listed.session_date,
        arg_max(stock.value, stock.event_date) as aum_prev_usd,
        arg_max(stock.known_from, stock.event_date) as aum_known_from
    from listed
    inner join {{ ref('observation_version') }} as stock
        on stock.series_id = 'AUM.' || listed.asset || '.' || listed.ticker
        and stock.event_date < listed.session_date
        and (listed.ten_before is null or stock.event_date >= listed.ten_before)
        and stock.known_from < listed.open_at
        and (stock.known_to is null or listed.open_at <= stock.known_to)
        and stock.value is not null
        and stock.obs_status != 'held'
    group by all
)

select
    listed.asset,
    listed.ticker,
    listed.session_date,
    aum.aum_prev_usd,
    aum.aum_known_from,
    count(*) over per_session as n_funds_listed,
    -- completeness by assets needs every fund's: one unknown makes it unknown
    case
        when count(aum.aum_prev_usd) over per_session = count(*) over per_session
            then sum(aum.aum_prev_usd) over per_session
    end as session_aum_usd
from listed
left join aum
    on listed.asset = aum.asset and listed.ticker = aum.ticker and listed.session_date = aum.session_date
window per_session as (partition by listed.asset, listed.session_date)
order by listed.asset, listed.session_date, listed.ticker
