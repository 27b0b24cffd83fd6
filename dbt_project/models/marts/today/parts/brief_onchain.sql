-- The first screen's lines on the chain: five days of stablecoin issuance over the coins that are followed, and the
-- value locked in all chains.
with latest as (
    select max(event_date) as event_date
    from {{ ref('fct_stablecoin_supply_daily') }}
    where chain = 'all'
),

coin as (
    select
        followed.asset,
        latest.event_date,
        supply.* exclude (asset, event_date),
        stale.is_stale,
        stale.next_due_at
    from (
        select distinct asset from {{ ref('fct_stablecoin_supply_daily') }}
        where chain = 'all'
    ) as followed
    cross join latest
    left join {{ ref('fct_stablecoin_supply_daily') }} as supply
        on followed.asset = supply.asset
        and supply.chain = 'all'
        and latest.event_date = supply.event_date
    left join {{ ref('brief_series') }} as stale on stale.series_id = 'SUPPLY.' || followed.asset
),

issuance as (
    select
        event_date,
        case when bool_and(net_issuance_5d_usd is not null) then sum(net_issuance_5d_usd) end as issued_usd,
        string_agg(
            asset || ' ' || {{ millions('net_issuance_5d_usd') }}, ', '
            order by abs(net_issuance_5d_usd) desc, asset
        ) as by_coin,
        string_agg(asset, ', ' order by asset) filter (net_issuance_5d_usd is null) as missing,
        sum(supply_native) as supply_native,
        string_agg(distinct source_id || ' (' || evidence_kind || ')', ', ') as who_says_it,
        min(n_publishers) as n_publishers,
        min(n_lineages) as n_lineages,
        min(n_measurements) as n_measurements,
        max({{ grade_while_stale('grade', 'coalesce(is_stale, false)') }}) as grade, -- the worst is the latest letter
        min(next_due_at) as next_due_at,
        max(scores_known_from) as known_from
    from coin
    group by event_date
),

locked as (
    select
        tvl.*,
        lag(tvl.tvl_usd) over (order by tvl.event_date) as previous_usd,
        coalesce(stale.is_stale, false) as is_stale,
        stale.next_due_at
    from {{ ref('fct_protocol_tvl_daily') }} as tvl
    left join {{ ref('brief_series') }} as stale on stale.series_id = 'TVL.ALL'
    where tvl.subject = 'all' and tvl.subject_kind = 'chain'
    qualify row_number() over (order by tvl.event_date desc) = 1
)

select
    30 as place,
    'Stablecoins, net issuance of five days to ' || event_date as headline,
    event_date,
    issued_usd::decimal(38, 18) as value,
    {{ millions('issued_usd') }} || ' USD (' || by_coin || ')' as value_text,
    'usd' as unit,
    case
        when issued_usd is not null
            then {{ signed(divide('issued_usd * 100', 'supply_native - issued_usd'), 2) }} || ' % of the coins before'
    end as unusual,
    who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    case when issued_usd is not null then grade end as grade,
    case when issued_usd is not null then 'final' else 'partial' end as status,
    case
        when issued_usd is null then 'no sum: five days of ' || missing || ' are not known'
        when issued_usd < 0 then 'more coins were redeemed than issued; a coin that holds another is counted beside it'
        else 'more coins were issued than redeemed; a coin that holds another is counted beside it'
    end as reading,
    case
        when issued_usd is null then 'five days of ' || missing
        else 'a correction by the publisher, or a second measurement of the coins'
    end as would_change_it,
    next_due_at,
    known_from
from issuance

union all by name

select
    31 as place,
    'Value locked on all chains, ' || event_date as headline,
    event_date,
    tvl_usd::decimal(38, 18) as value,
    {{ millions('tvl_usd') }} || ' USD' as value_text,
    'usd' as unit,
    {{ signed(divide('(tvl_usd - previous_usd) * 100', 'previous_usd'), 2) }} || ' % on the day before' as unusual,
    source_id || ' (' || evidence_kind || ')' as who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    {{ grade_while_stale('grade', 'is_stale') }} as grade,
    obs_status as status,
    'moves with prices: no flow can be read from it' as reading,
    'quantities of the tokens behind it' as would_change_it,
    next_due_at,
    known_from
from locked
