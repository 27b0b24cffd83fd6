-- The first screen's lines on ETF flows: each asset's newest closed session, and the five-session sum of BTC.
with session as (
    select max(session.session_date) as session_date, max(session.close_at) as close_at
    from {{ ref('dim_market_session') }} as session
    cross join {{ ref('cutoff') }} as cutoff
    where session.calendar = 'NYSE' and session.close_at <= cutoff.cutoff_at
),

missing as (
    select fund.asset, string_agg(fund.ticker, ', ' order by fund.ticker) as tickers
    from {{ ref('dim_fund') }} as fund
    cross join session
    anti join {{ ref('fct_etf_flow_daily') }} as flow
        on fund.asset = flow.asset
        and fund.ticker = flow.ticker
        and session.session_date = flow.session_date
        and flow.is_published_lineage
        and flow.known_to is null
        and flow.net_flow_usd is not null
    where fund.listed_on <= session.session_date and (fund.delisted_on > session.session_date) is not false
    group by fund.asset
),

-- how far off the published source's total has been by this hour in sessions that have settled
profile as (
    select
        profile.source_id,
        profile.asset,
        profile.hours_since_close || ' h after the close its total has been off by '
        || {{ millions('profile.median_abs_error_usd') }} || ' in the median of ' || profile.n_known
        || ' sessions, of the wrong sign in ' || round(profile.wrong_sign_share * 100)::int || ' %' as told
    from {{ ref('mart_revision_profile') }} as profile
    cross join session
    cross join {{ ref('cutoff') }} as cutoff
    where session.close_at + to_hours(profile.hours_since_close) <= cutoff.cutoff_at
    qualify max(profile.hours_since_close) over (partition by profile.source_id, profile.asset)
        = profile.hours_since_close
),

flow as (
    select
        flow.*,
        profile.told as profile_told,
        stale.is_stale,
        stale.next_due_at,
        missing.tickers as missing_tickers,
        coalesce(
            flow.source_id || ' (' || source.evidence_kind || ')' || coalesce(
                '; beside it ' || {{ others_in_millions('flow.others') }} || ', '
                || replace(flow.agreement_status, '_', ' '),
                ''
            ),
            'expected of ' || series.expected_from
        ) as who_says_it
    from {{ ref('fct_etf_flow_agg_daily') }} as flow
    inner join session on flow.session_date = session.session_date
    left join {{ ref('dim_source') }} as source on flow.source_id = source.source_id
    left join missing on flow.asset = missing.asset
    left join profile on flow.source_id = profile.source_id and flow.asset = profile.asset
    left join {{ ref('dim_series') }} as series on series.series_id = 'ETF_FLOW.' || flow.asset || '.TOTAL'
    left join {{ ref('brief_series') }} as stale on stale.series_id = 'ETF_FLOW.' || flow.asset || '.TOTAL'
)

select
    case asset when 'BTC' then 1 when 'ETH' then 3 else 4 end as place,
    asset || ' spot ETFs, session of ' || session_date as headline,
    session_date as event_date,
    net_flow_usd::decimal(38, 18) as value,
    {{ millions('net_flow_usd') }} || ' USD' || case
        when n_funds_reported > 0 then ' from ' || n_funds_reported || ' of ' || n_funds_listed || ' funds'
        else ' as a printed total'
    end as value_text,
    'usd' as unit,
    {{ ordinal('round(abs_flow_pctile * 100)::int') }} || ' percentile of ' || n_prior_sessions
    || ' sessions by size; ' || coalesce('z60 ' || {{ signed('z60', 2) }}, 'no z60: ' || replace(z60_reason, '_', ' '))
        as unusual,
    who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    case when net_flow_usd is not null then {{ grade_while_stale('grade', 'is_stale') }} end as grade,
    obs_status as status,
    case
        when net_flow_usd is null then 'no fund of this session is known yet'
        when net_flow_usd < 0 then 'capital left the channel'
        when net_flow_usd > 0 then 'capital came into the channel'
        else 'no net flow'
    end || case when obs_status = 'partial' then ' so far' || coalesce('; ' || profile_told, '') else '' end as reading,
    coalesce('a reading of ' || missing_tickers, 'a correction by ' || source_id || ', or a second measurement')
        as would_change_it,
    next_due_at,
    'etf_flow ' || asset || ' ' || session_date as why_figure,
    known_from
from flow

union all by name

select
    2 as place,
    asset || ' spot ETFs, five sessions to ' || session_date as headline,
    session_date as event_date,
    cum5_usd::decimal(38, 18) as value,
    {{ millions('cum5_usd') }} || ' USD' as value_text,
    'usd' as unit,
    case
        when streak < -1 then -streak || ' sessions of outflow in a row'
        when streak > 1 then streak || ' sessions of inflow in a row'
    end as unusual,
    who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    case when cum5_usd is not null then {{ grade_while_stale('grade', 'is_stale') }} end as grade,
    case when cum5_usd is not null then 'final' else obs_status end as status,
    case when cum5_usd is null then 'no sum: ' || n_final_5 || ' of 5 sessions are final' end as reading,
    case when cum5_usd is null then coalesce('a reading of ' || missing_tickers, 'the missing sessions') end
        as would_change_it,
    next_due_at,
    'etf_flow.cum5_usd ' || asset || ' ' || session_date as why_figure,
    known_from
from flow
where asset = 'BTC'
