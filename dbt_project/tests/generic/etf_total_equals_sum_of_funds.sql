{#- Rule G6: a session's flow is the sum of its listed funds in the published lineage, to the cent a fund; a total with a
    fund split and no fund beside it fails too. `funds` and `listing` are the relations of fund flows and of listed funds. -#}
{% test etf_total_equals_sum_of_funds(model, funds, listing) %}
with part as (
    select
        fund.asset,
        fund.session_date,
        sum(fund.net_flow_usd) as net_flow_usd,
        count(fund.net_flow_usd) as n_funds
    from {{ funds }} as fund
    inner join {{ listing }} as listing
        on fund.asset = listing.asset
        and fund.ticker = listing.ticker
        and fund.session_date >= listing.listed_on
        and (listing.delisted_on is null or fund.session_date < listing.delisted_on)
    where fund.is_published_lineage
        and fund.known_to is null
        and fund.obs_status not in ('held', 'retracted')
    group by fund.asset, fund.session_date
)

select total.asset, total.session_date, total.net_flow_usd, part.net_flow_usd as funds_usd
from {{ model }} as total
left join part on total.asset = part.asset and total.session_date = part.session_date
where total.n_funds_reported > 0
    and (part.net_flow_usd is null or abs(total.net_flow_usd - part.net_flow_usd) > 0.01 * part.n_funds)
{% endtest %}
