-- venue x asset x instrument x event_date: the last open interest of the UTC day and the mean funding of the day; of
-- options on a fund those open after the session. Each venue counts in its own way (`oi_convention`), so rows of two
-- venues are not to be added up. Dollars are the venue's own figure, else coins x the mark price of the same instant,
-- else shares x the fund's net asset value. What capital stands behind a change is an estimate (grade D).
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
),

-- what watched accounts hold on a venue, and what stands behind it, at their last states of the day
tracked as (
    select
        venue,
        event_date,
        count(distinct account)::int as n_accounts,
        sum(notional_usd) as notional_usd,
        sum(equity_allocated_usd) as equity_usd,
        max(known_from) as known_from
    from {{ ref('fct_account_position_daily') }}
    where equity_allocated_usd is not null
    group by venue, event_date
),

tracked_asset as (
    select
        venue,
        instrument as asset,
        event_date,
        sum(notional_usd) as notional_usd,
        list_sum(max(notional_usd, 10)) as top10_usd,
        sum((notional_usd::double / 1e6) ** 2 order by notional_usd) as squares -- in millions, an index and no money
    from {{ ref('fct_account_position_daily') }}
    group by venue, instrument, event_date
),

-- the venue's board of accounts, which lists survivors only: its equity, the ten largest, those that are watched; it
-- is asked for once a week, and stands until the next, but for eight days at most
board as (
    select
        split_part(said.series_id, '.', 2) as venue,
        said.event_date + age.days::int as event_date,
        max(said.value) filter (said.series_id like 'BOARD_EQUITY.%.ALL') as equity_usd,
        max(said.value) filter (said.series_id like 'BOARD_EQUITY.%.TOP10') as top10_usd,
        sum(said.value) filter (said.series_id like 'ACCOUNT_EQUITY.%') as tracked_usd,
        max(said.known_from) as known_from
    from {{ ref('observation_agreed') }} as said
    cross join range(9) as age (days)
    where split_part(said.series_id, '.', 1) in ('BOARD_EQUITY', 'ACCOUNT_EQUITY') and said.value is not null
    group by split_part(said.series_id, '.', 2), said.event_date, age.days
    qualify
        row_number() over (
            partition by split_part(said.series_id, '.', 2), said.event_date + age.days::int order by age.days
        ) = 1
),

stepped as (
    select
        daily.* exclude (mark),
        daily.mark::decimal(20, 8) as mark,
        coalesce(
            {{ usd('daily.own_usd') }},
            case when daily.mark_at = daily.oi_at then {{ usd(product('daily.oi_native', 'daily.mark')) }} end
        ) as oi_usd,
        case
            when lag(daily.event_date) over by_day = daily.event_date - 1
                then daily.oi_native - lag(daily.oi_native) over by_day
        end as change_native,
        case
            when lag(daily.event_date) over by_day = daily.event_date - 1 then lag(daily.mark) over by_day
        end as mark_before,
        lag(daily.known_from) over by_day as before_known_from
    from daily
    window by_day as (partition by daily.venue, daily.asset order by daily.event_date)
),

-- the capital behind a change: coins at the price of the day before over the effective leverage of those who are
-- watched, sum of notional over sum of equity
backed as (
    select
        stepped.*,
        venue.oi_convention,
        {{ usd(product('stepped.change_native', 'stepped.mark_before')) }} as notional_change_usd,
        coalesce(tracked.n_accounts, 0) as n_accounts,
        tracked.notional_usd as tracked_usd,
        case when tracked.equity_usd > 0 then tracked.equity_usd end as equity_usd,
        tracked_asset.notional_usd as tracked_asset_usd,
        tracked_asset.top10_usd,
        tracked_asset.squares / (nullif(stepped.oi_usd, 0)::double / 1e6) ** 2 as hhi,
        greatest(0, 1 - tracked_asset.notional_usd::double / nullif(stepped.oi_usd, 0)::double) as rest,
        greatest(stepped.known_from, stepped.before_known_from, tracked.known_from) as capital_known_from,
        {{ usd('board.equity_usd') }} as board_equity_usd,
        {{ divide('board.top10_usd', 'board.equity_usd') }} as board_top10_share,
        {{ divide('board.tracked_usd', 'board.equity_usd') }} as tracked_equity_share,
        board.known_from as board_known_from
    from stepped
    left join {{ ref('venue') }} as venue on stepped.venue = venue.venue
    left join tracked on stepped.venue = tracked.venue and stepped.event_date = tracked.event_date
    left join tracked_asset
        on stepped.venue = tracked_asset.venue
        and stepped.asset = tracked_asset.asset
        and stepped.event_date = tracked_asset.event_date
    left join board on stepped.venue = board.venue and stepped.event_date = board.event_date
),

perpetual as (
    select
        venue,
        asset,
        'perpetual' as instrument_kind,
        asset as instrument,
        event_date,
        oi_native,
        'coin' as oi_unit,
        oi_usd,
        case when oi_native is not null and oi_usd is null then 'no price of the same instant' end as oi_usd_reason,
        {{ usd('long_usd') }} as oi_long_usd,
        {{ usd('short_usd') }} as oi_short_usd,
        oi_convention,
        oi_at,
        mark as mark_price_usd,
        change_native as oi_change_native,
        notional_change_usd,
        n_accounts as n_accounts_tracked,
        {{ divide('tracked_asset_usd', 'oi_usd') }} as tracked_share,
        {{ divide('top10_usd', 'oi_usd') }} as top10_share,
        {{ ratio('hhi') }} as position_hhi_least,
        case when tracked_asset_usd is not null then {{ ratio('hhi + rest ** 2') }} end as position_hhi_most,
        {{ divide('tracked_usd', 'equity_usd') }} as leverage_tracked,
        {{ proportion('notional_change_usd', 'equity_usd', 'tracked_usd') }}::decimal(24, 2) as capital_flow_usd,
        case
            when oi_convention = 'sides_apart' then 'sides_apart'
            when change_native is null then 'no_reading_before'
            when mark_before is null then 'no_price_before'
            when equity_usd is null or tracked_usd = 0 then 'no_effective_leverage'
        end as capital_flow_reason,
        funding_annualised,
        n_funding_readings,
        source_id,
        n_publishers,
        n_lineages,
        n_measurements,
        grade,
        known_from,
        case when notional_change_usd is not null then capital_known_from end as capital_known_from,
        board_equity_usd,
        board_top10_share,
        tracked_equity_share,
        board_known_from
    from backed
),

session as (
    select
        session_date,
        lag(session_date) over (order by session_date) as previous_date
    from {{ ref('dim_market_session') }}
    where calendar = 'NYSE'
),

-- a contract is of 100 shares; a fund's shares are worth its net asset value, where that session's is known
fund_day as (
    select
        'OCC' as venue,
        fund.asset,
        fund.ticker as instrument,
        known.event_date,
        max(known.value) filter (known.series_id like 'OPTION_OI.%.CALL') as call_contracts,
        max(known.value) filter (known.series_id like 'OPTION_OI.%.PUT') as put_contracts,
        max(known.value) filter (known.series_id like 'NAV.%') as mark,
        min(known.source_id) filter (known.series_id like 'OPTION_OI.%') as source_id,
        min(known.n_publishers) as n_publishers,
        min(known.n_lineages) as n_lineages,
        min(known.n_measurements) as n_measurements,
        max(known.grade) as grade,
        max(known.known_from) as known_from
    from {{ ref('observation_agreed') }} as known
    inner join {{ ref('dim_fund') }} as fund
        on split_part(known.series_id, '.', 2) = fund.asset
        and split_part(known.series_id, '.', 3) = fund.ticker
        and known.event_date >= fund.listed_on
        and (fund.delisted_on is null or known.event_date < fund.delisted_on)
    where split_part(known.series_id, '.', 1) in ('OPTION_OI', 'NAV') and known.value is not null
    group by fund.asset, fund.ticker, known.event_date
    having bool_or(known.series_id like 'OPTION_OI.%')
),

option_day as (
    select
        fund_day.*,
        ((call_contracts + put_contracts) * 100)::decimal(38, 18) as oi_native,
        session.previous_date
    from fund_day
    left join session on fund_day.event_date = session.session_date
),

option as (
    select
        venue,
        asset,
        'option' as instrument_kind,
        instrument,
        event_date,
        oi_native,
        'share' as oi_unit,
        call_contracts,
        put_contracts,
        {{ usd(product('oi_native', 'mark')) }} as oi_usd,
        case when oi_native is not null and mark is null then 'no net asset value of the session' end as oi_usd_reason,
        'one_side' as oi_convention,
        mark::decimal(20, 8) as mark_price_usd,
        case
            when lag(event_date) over by_session = previous_date then oi_native - lag(oi_native) over by_session
        end as oi_change_native,
        0 as n_accounts_tracked,
        'no_perpetual' as capital_flow_reason,
        0 as n_funding_readings,
        source_id,
        n_publishers,
        n_lineages,
        n_measurements,
        grade,
        known_from
    from option_day
    window by_session as (partition by asset, instrument order by event_date)
),

every as (
    select perpetual.*
    from perpetual
    union all by name
    select option.*
    from option
)

select *
from every
order by venue, asset, instrument, event_date
