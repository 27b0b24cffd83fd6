-- One row an asset: how complete its last ten closed sessions are, and which funds report in them that nobody listed.
with recent as (
    select flow.*
    from warehouse.marts.fct_etf_flow_agg_daily as flow
    inner join scratch.landing.market_session as session
        on session.calendar = 'NYSE' and session.session_date = flow.session_date
    cross join scratch.ledger.cutoff as cutoff
    where session.close_at <= cutoff.cutoff_at
    qualify row_number() over (partition by flow.asset order by flow.session_date desc) <= 10
),

-- a new fund's column comes before its listing is curated: until then our total, a sum over listed funds, lacks it
unlisted as (
    select
        recent.asset,
        count(distinct recent.session_date) as n_unlisted,
        array_to_string(
            max(split_part(version.series_id, '.', 3) || ' ' || recent.session_date || ' ' || version.value_raw, 3), ', '
        ) as unlisted_eg
    from recent
    inner join scratch.ledger.observation_version as version
        on version.event_date = recent.session_date
        and version.series_id like 'ETF_FLOW.' || recent.asset || '.%'
        and version.series_id not like '%.TOTAL'
    left join scratch.ledger.etf_fund_aum as listed
        on listed.asset = recent.asset
        and listed.session_date = recent.session_date
        and listed.ticker = split_part(version.series_id, '.', 3)
    where version.known_to is null
        and version.value != 0
        and version.obs_status not in ('held', 'retracted')
        and version.evidence_kind != 'report'
        and listed.ticker is null
    group by recent.asset
)

select
    recent.asset as subject,
    count(*) as n_rows,
    count(*) filter (obs_status = 'partial') as n_partial,
    array_to_string(
        max(session_date || ' ' || n_funds_reported || ' of ' || n_funds_listed, 3) filter (obs_status = 'partial'),
        ', '
    ) as partial_eg,
    count(*) filter (obs_status = 'not_yet') as n_not_yet,
    array_to_string(max(session_date::varchar, 3) filter (obs_status = 'not_yet'), ', ') as not_yet_eg,
    coalesce(any_value(unlisted.n_unlisted), 0) as n_unlisted,
    any_value(unlisted.unlisted_eg) as unlisted_eg
from recent
left join unlisted on recent.asset = unlisted.asset
group by recent.asset
order by recent.asset
