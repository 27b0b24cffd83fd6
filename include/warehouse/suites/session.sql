-- One row an asset: how complete its last ten closed sessions are, and whose figures stand alone in them.
with recent as (
    select flow.*
    from warehouse.marts.fct_etf_flow_agg_daily as flow
    inner join scratch.landing.market_session as session
        on session.calendar = 'NYSE' and session.session_date = flow.session_date
    cross join scratch.ledger.cutoff as cutoff
    where session.close_at <= cutoff.cutoff_at
    qualify row_number() over (partition by flow.asset order by flow.session_date desc) <= 10
)

select
    asset as subject,
    count(*) as n_rows,
    count(*) filter (obs_status = 'partial') as n_partial,
    array_to_string(
        max(session_date || ' ' || n_funds_reported || ' of ' || n_funds_listed, 3) filter (obs_status = 'partial'),
        ', '
    ) as partial_eg,
    count(*) filter (obs_status = 'not_yet') as n_not_yet,
    array_to_string(max(session_date::varchar, 3) filter (obs_status = 'not_yet'), ', ') as not_yet_eg
from recent
group by asset
order by asset
