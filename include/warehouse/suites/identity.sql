-- One row an identity that published figures must keep: on how many rows it was tried, and where it breaks.
with fund as (
    select
        flow.asset,
        flow.session_date,
        count(flow.net_flow_usd) as n_funds,
        sum(flow.net_flow_usd) as net_flow_usd
    from warehouse.marts.fct_etf_flow_daily as flow
    inner join scratch.ledger.etf_fund_aum as listed
        on listed.asset = flow.asset and listed.ticker = flow.ticker and listed.session_date = flow.session_date
    where flow.is_published_lineage and flow.known_to is null and flow.obs_status not in ('held', 'retracted')
    group by all
),

identity as (
    select
        'fct_etf_flow_agg_daily' as subject,
        total.asset || ' ' || total.session_date as example,
        coalesce(fund.net_flow_usd != total.net_flow_usd or fund.n_funds != total.n_funds_reported, true) as is_broken
    from warehouse.marts.fct_etf_flow_agg_daily as total
    left join fund on total.asset = fund.asset and total.session_date = fund.session_date
    where total.n_funds_reported > 0

    union all by name

    select
        'fct_policy_decision' as subject,
        meeting_id as example,
        coalesce(votes_for + votes_against != n_members, false) as is_broken -- a meeting without a tally has none
    from warehouse.marts.fct_policy_decision

    union all by name

    -- an incident of which a part is not told has no identity to keep
    select
        'fct_security_incident' as subject,
        incident_id as example,
        coalesce(
            abs(stolen_native - returned_native - bounty_native - outstanding_native) > 0.002 * stolen_native, false
        ) as is_broken
    from warehouse.marts.fct_security_incident
)

select
    subject,
    count(*) as n_rows,
    count(*) filter (is_broken) as n_broken,
    array_to_string(max(example, 3) filter (is_broken), ', ') as broken_eg
from identity
group by subject
order by subject
