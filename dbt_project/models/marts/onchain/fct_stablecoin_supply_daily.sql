-- asset x chain x day: coins in circulation, and what was issued or redeemed since the day before. Issuance is the
-- change of the number of coins, each counted as one dollar, so that a price off the peg is no flow; moves between
-- chains net out where the chain is `all`. A change between two sources, or over a missing day, is no issuance.
with reading as (
    select
        split_part(series_id, '.', 2) as asset,
        coalesce(nullif(lower(split_part(series_id, '.', 3)), ''), 'all') as chain,
        split_part(series_id, '.', 1) = 'SUPPLY' as is_native,
        observation_agreed.*
    from {{ ref('observation_agreed') }} as observation_agreed
    where split_part(series_id, '.', 1) in ('SUPPLY', 'SUPPLY_USD') and value is not null
),

day as (
    select
        asset,
        chain,
        event_date,
        value as supply_native,
        obs_status,
        source_id,
        lineage_root,
        evidence_kind,
        n_publishers,
        n_lineages,
        n_measurements,
        spread_rel,
        agreement_status,
        grade,
        known_from,
        vintage_kind,
        payload_sha256,
        lag(event_date) over by_day as previous_date,
        lag(value) over by_day as previous_native,
        lag(source_id) over by_day as previous_source_id,
        lag(grade) over by_day as previous_grade,
        lag(known_from) over by_day as previous_known_from,
        event_date - min(event_date) over (partition by asset, chain) as age_days
    from reading
    where is_native
    window by_day as (partition by asset, chain order by event_date)
),

judged as (
    select
        *,
        case
            when previous_date is null then 'first_reading'
            when previous_date != event_date - 1 then 'day_missing'
            when previous_source_id != source_id then 'other_source'
        end as issuance_reason
    from day
),

issued as (
    select
        *,
        case when issuance_reason is null then supply_native - previous_native end as net_issuance_native,
        case when issuance_reason is null then {{ worst_grade(['grade', 'previous_grade']) }} else grade end
            as row_grade,
        case when issuance_reason is null then greatest(known_from, previous_known_from) else known_from end
            as row_known_from
    from judged
)

select
    issued.asset,
    issued.chain,
    issued.event_date,
    issued.supply_native,
    {{ usd('dollars.value') }} as supply_usd,
    issued.net_issuance_native,
    {{ usd('issued.net_issuance_native') }} as net_issuance_usd,
    issued.issuance_reason,
    case
        when count(issued.net_issuance_native) over five_days = 5
            then {{ usd('sum(issued.net_issuance_native) over five_days') }}
    end as net_issuance_5d_usd,
    issued.obs_status,
    issued.source_id,
    issued.lineage_root,
    issued.evidence_kind,
    issued.n_publishers,
    issued.n_lineages,
    issued.n_measurements,
    issued.spread_rel,
    issued.agreement_status,
    issued.row_grade as grade,
    issued.row_known_from as known_from,
    max(issued.row_known_from) over five_days as scores_known_from,
    issued.vintage_kind,
    issued.payload_sha256
from issued
left join reading as dollars
    on issued.asset = dollars.asset
    and issued.chain = dollars.chain
    and issued.event_date = dollars.event_date
    and issued.source_id = dollars.source_id
    and not dollars.is_native
window
    five_days as (
        partition by issued.asset, issued.chain order by issued.age_days
        range between 4 preceding and current row
    )
order by issued.asset, issued.chain, issued.event_date
