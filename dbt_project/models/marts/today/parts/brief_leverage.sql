-- The first screen's lines on leverage: of BTC and ETH the newest open interest, funding and forced closures, each of
-- one venue and by its own count. Where several venues have a figure of the newest day, the first of the seed's order
-- is told; of options on funds the fund with the most contracts.
with told as (
    select
        oi.*,
        venue.title,
        venue.scope,
        venue.channel,
        venue.place as venue_place,
        cutoff.cutoff_at,
        coalesce(
            stale.is_stale,
            oi.event_date < cutoff.cutoff_at::date - case oi.instrument_kind when 'option' then 4 else 2 end
        ) as is_stale,
        stale.next_due_at
    from {{ ref('fct_derivative_oi_daily') }} as oi
    inner join {{ ref('venue') }} as venue on oi.venue = venue.venue
    cross join {{ ref('cutoff') }} as cutoff
    left join {{ ref('brief_series') }} as stale on stale.series_id = 'FUNDING.' || oi.venue || '.' || oi.asset
    where oi.asset in ('BTC', 'ETH')
),

interest as (
    select *
    from told
    where oi_native is not null and instrument_kind = 'perpetual'
    qualify row_number() over (partition by asset order by event_date desc, venue_place) = 1
),

funding as (
    select
        *,
        min(funding_annualised) over prior60 as lowest60,
        max(funding_annualised) over prior60 as highest60,
        (count(*) over prior60)::int as n_prior
    from told
    where n_funding_readings > 0
    window
        prior60 as (
            partition by asset, venue
            order by event_date
            rows between 60 preceding and 1 preceding
        )
    qualify row_number() over (partition by asset order by event_date desc, venue_place) = 1
),

optioned as (
    select *
    from told
    where oi_native is not null and instrument_kind = 'option'
    qualify row_number() over (partition by asset order by event_date desc, oi_native desc, instrument) = 1
),

-- of the venue that stands for the channel: what was opened or closed, and the capital that may stand behind it
backed as (
    select *
    from told
    where channel = 'DEX_PERP' and notional_change_usd is not null
    qualify row_number() over (partition by asset order by event_date desc) = 1
),

-- the venue's board of accounts: the same for each of its assets
boarded as (
    select *
    from told
    where board_equity_usd is not null
    qualify row_number() over (order by event_date desc, venue_place, asset) = 1
),

liquidated as (
    select *
    from {{ ref('fct_liquidation_daily') }}
    where asset in ('BTC', 'ETH')
    qualify row_number() over (partition by asset, venue order by event_date desc) = 1
)

select
    case asset when 'BTC' then 20 else 21 end as place,
    asset || ' open interest on ' || title || ', ' || event_date as headline,
    event_date,
    oi_native as value,
    {{ shown('oi_native', 0) }} || ' ' || asset || coalesce(', ' || {{ millions('oi_usd') }} || ' USD', '')
        as value_text,
    'coin' as unit,
    {{ signed('oi_change_native', 0) }} || ' ' || asset || ' on the day before' as unusual,
    source_id || ' (measurement of its own book, ' || scope || ')' as who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    {{ grade_while_stale('grade', 'is_stale') }} as grade,
    'final' as status,
    'counted as the venue counts (' || replace(oi_convention, '_', ' ')
    || '), not to be added to another venue''s; in coins, since a falling price alone lowers dollars' as reading,
    'the next reading' as would_change_it,
    next_due_at,
    'fct_derivative_oi_daily.oi_native --key venue=' || venue || ',asset=' || asset || ',event_date=' || event_date
        as why_figure,
    known_from
from interest

union all by name

select
    case asset when 'BTC' then 22 else 23 end as place,
    asset || ' funding on ' || title || ', mean of ' || event_date as headline,
    event_date,
    funding_annualised::decimal(38, 18) as value,
    {{ signed('funding_annualised * 100', 2) }} || ' % a year' as value_text,
    'ratio_per_year' as unit,
    'the ' || n_prior || ' before it lay between ' || {{ signed('lowest60 * 100', 2) }} || ' and '
    || {{ signed('highest60 * 100', 2) }} || ' %' as unusual,
    source_id || ' (measurement, ' || n_funding_readings || ' rates of the day)' as who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    {{ grade_while_stale('grade', 'is_stale') }} as grade,
    'final' as status,
    case
        when funding_annualised > 0 then 'longs pay shorts'
        when funding_annualised < 0 then 'shorts pay longs'
        else 'neither side pays'
    end || ' for the perpetual against spot' as reading,
    'the next rate' as would_change_it,
    next_due_at,
    'fct_derivative_oi_daily.funding_annualised --key venue=' || venue || ',asset=' || asset || ',event_date='
    || event_date as why_figure,
    known_from
from funding

union all by name

select
    case asset when 'BTC' then 24 else 25 end as place,
    asset || ' positions closed by force, ' || event_date as headline,
    event_date,
    (coalesce(liquidated_long_usd, 0) + coalesce(liquidated_short_usd, 0))::decimal(38, 18) as value,
    coalesce('longs ' || {{ millions('liquidated_long_usd') }} || ' USD', 'no long seen') || ', '
    || coalesce('shorts ' || {{ millions('liquidated_short_usd') }} || ' USD', 'no short seen') as value_text,
    'usd' as unit,
    n_orders || ' orders' as unusual,
    source_id || ' (measurement)' as who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    grade,
    'partial' as status,
    coverage || ', never a total of the market' as reading,
    'a complete source; there is no free one' as would_change_it,
    null::timestamptz as next_due_at,
    null as why_figure,
    known_from
from liquidated

union all by name

select
    case asset when 'BTC' then 26 else 27 end as place,
    'Options on ' || instrument || ', a fund of ' || asset || ', ' || event_date as headline,
    event_date,
    oi_native as value,
    {{ plain('call_contracts') }} || ' calls and ' || {{ plain('put_contracts') }} || ' puts open'
    || coalesce(', on shares of ' || {{ millions('oi_usd') }} || ' USD', '') as value_text,
    oi_unit as unit,
    coalesce({{ signed('oi_change_native', 0) }} || ' shares on the session before', '') as unusual,
    source_id || ' (' || title || ', ' || scope || ')' as who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    {{ grade_while_stale('grade', 'is_stale') }} as grade,
    'final' as status,
    'one side counted, 100 shares a contract; not to be added to perpetuals'
    || coalesce('; ' || oi_usd_reason, '') as reading,
    'the count of the next session' as would_change_it,
    next_due_at,
    'fct_derivative_oi_daily.oi_native --key venue=' || venue || ',asset=' || asset || ',instrument=' || instrument
    || ',event_date=' || event_date as why_figure,
    known_from
from optioned

union all by name

select
    case asset when 'BTC' then 28 else 29 end as place,
    'Capital behind ' || asset || ' open interest on ' || title || ', ' || event_date as headline,
    event_date,
    capital_flow_usd::decimal(38, 18) as value,
    coalesce(
        {{ millions('capital_flow_usd') }} || ' USD at ' || {{ shown('leverage_tracked', 2) }} || 'x',
        'not known (' || replace(capital_flow_reason, '_', ' ') || ')'
    ) || ', notional ' || {{ millions('notional_change_usd') }} || ' USD' as value_text,
    'usd' as unit,
    n_accounts_tracked || ' accounts watched'
    || coalesce(', ' || {{ shown('tracked_share * 100', 2) }} || ' % of the open interest', '') as unusual,
    source_id || ' (estimate)' as who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    case when grade = 'X' then grade else 'D' end as grade,
    case when capital_flow_usd is null then 'source_gap' else 'final' end as status,
    'coins at the price of the day before over the leverage of those accounts; it enters no index' as reading,
    'a measured flow of margin' as would_change_it,
    next_due_at,
    case
        when capital_flow_usd is not null
            then 'fct_derivative_oi_daily.capital_flow_usd --key venue=' || venue || ',asset=' || asset
                || ',instrument_kind=perpetual,event_date=' || event_date
    end as why_figure,
    capital_known_from as known_from
from backed

union all by name

select
    29 as place,
    'Equity of the accounts that ' || title || ' lists, ' || timezone('UTC', board_known_from)::date as headline,
    event_date,
    board_equity_usd::decimal(38, 18) as value,
    {{ millions('board_equity_usd') }} || ' USD, the ten largest ' || {{ shown('board_top10_share * 100', 1) }} || ' %'
        as value_text,
    'usd' as unit,
    coalesce(
        'watched accounts ' || {{ shown('tracked_equity_share * 100', 2) }} || ' % of it', 'no watched account listed'
    ) as unusual,
    title || ' (measurement, its board of accounts)' as who_says_it,
    1 as n_publishers,
    1 as n_lineages,
    1 as n_measurements,
    {{ grade_while_stale("'C'", "board_known_from < cutoff_at - interval 9 days") }} as grade,
    'final' as status,
    'listed accounts only: who was liquidated or has left is not on the board' as reading,
    'the next board, a week later' as would_change_it,
    null::timestamptz as next_due_at,
    'fct_derivative_oi_daily.board_equity_usd --key venue=' || venue || ',asset=' || asset || ',event_date='
    || event_date as why_figure,
    board_known_from as known_from
from boarded
