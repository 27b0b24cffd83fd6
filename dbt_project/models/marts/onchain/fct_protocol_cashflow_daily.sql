-- protocol x day: what users paid, what suppliers got of it, what the protocol kept, what its token's holders got; and
-- what was paid out to holders, with its kind. Revenue is fees less the suppliers' side, and it is holders' and the
-- treasury's revenue together: a day on which a part exceeds its whole says so and has no difference. A payout at the
-- end of a protocol's life (`liquidating`) returns capital and is no yield.
with income as (
    select
        lower(split_part(series_id, '.', 2)) as protocol,
        event_date,
        {{ usd("max(value) filter (series_id like 'FEES.%')") }} as fees_usd,
        {{ usd("max(value) filter (series_id like 'REVENUE.%')") }} as revenue_usd,
        {{ usd("max(value) filter (series_id like 'HOLDERS_REVENUE.%')") }} as holders_revenue_usd,
        case when bool_or(obs_status = 'partial') then 'partial' else 'final' end as obs_status,
        min(source_id) as source_id,
        min(evidence_kind) as evidence_kind,
        min(n_publishers) as n_publishers,
        min(n_lineages) as n_lineages,
        max(grade) as grade,
        max(known_from) as known_from,
        arg_max(payload_sha256, (known_from, series_id)) as payload_sha256
    from {{ ref('observation_agreed') }}
    where split_part(series_id, '.', 1) in ('FEES', 'REVENUE', 'HOLDERS_REVENUE') and value is not null
    group by all
),

chosen as (
    {{ event_choice(['DISTRIBUTION']) | indent(4) }}
),

-- one row a payout; one that is announced and not paid has no amount
payout as (
    select
        event_id,
        {{ attribute('paid_in') }} as paid_in,
        {{ attribute('protocol') }} as protocol,
        min(event_date) as event_date,
        {{ attribute('amount_usd', 'value', 'decimal(24, 2)') }} as distribution_usd,
        {{ attribute('market_cap_usd', 'value', 'decimal(24, 2)') }} as market_cap_usd,
        {{ attribute('distribution_kind') }} as distribution_kind,
        {{ attribute('lifecycle_status') }} as lifecycle_status,
        {{ attribute('claim_status') }} as claim_status,
        {{ event_provenance() | indent(8) }}
    from chosen
    group by event_id
),

proof as (
    {{ transfer_proof('distribution') | indent(4) }}
),

paid as (
    select
        protocol,
        event_date,
        distribution_kind,
        {{ usd('sum(distribution_usd)') }} as distribution_usd,
        max(market_cap_usd) as market_cap_usd,
        max(lifecycle_status) as lifecycle_status,
        sum(proof.proved_native)::decimal(38, 18) as distribution_proved_native,
        case when count(proof.proved_native) = count(*) then 'supported' else max(payout.claim_status) end
            as claim_status,
        min(source_id) as source_id,
        min(evidence_kind) as evidence_kind,
        min(n_publishers) as n_publishers,
        min(n_lineages) as n_lineages,
        max(grade) as grade,
        max(greatest(payout.known_from, proof.known_from)) as known_from,
        arg_max(payload_sha256, (payout.known_from, source_id)) as payload_sha256,
        min(cited_url) as cited_url
    from payout
    left join proof on payout.event_id = proof.subject_id and payout.paid_in = proof.asset
    group by protocol, event_date, distribution_kind
),

day as (
    select
        coalesce(income.protocol, paid.protocol) as protocol,
        coalesce(income.event_date, paid.event_date) as event_date,
        income.fees_usd,
        income.revenue_usd,
        income.holders_revenue_usd,
        paid.distribution_usd,
        coalesce(paid.distribution_kind, 'none') as distribution_kind,
        paid.distribution_proved_native,
        paid.market_cap_usd,
        paid.claim_status,
        paid.cited_url,
        paid.lifecycle_status,
        coalesce(income.obs_status, 'final') as obs_status,
        coalesce(income.source_id, paid.source_id) as source_id,
        coalesce(income.evidence_kind, paid.evidence_kind) as evidence_kind,
        least(income.n_publishers, paid.n_publishers) as n_publishers,
        least(income.n_lineages, paid.n_lineages) as n_lineages,
        greatest(income.grade, paid.grade) as grade, -- the worse of two letters is the later one
        greatest(income.known_from, paid.known_from) as known_from,
        coalesce(income.payload_sha256, paid.payload_sha256) as payload_sha256
    from income
    full join paid on income.protocol = paid.protocol and income.event_date = paid.event_date
),

split as (
    select
        *,
        sum(market_cap_usd) filter (distribution_kind = 'recurring') over last_year as market_cap_sum,
        count(market_cap_usd) filter (distribution_kind = 'recurring') over last_year as n_market_caps,
        sum(distribution_usd) filter (distribution_kind = 'recurring') over last_year as recurring_365d_usd,
        case
            when revenue_usd > fees_usd then 'revenue_exceeds_fees'
            when holders_revenue_usd > revenue_usd then 'holders_exceed_revenue'
        end as identity_broken
    from day
    window last_year as (
        partition by protocol order by event_date
        range between interval 364 days preceding and current row
    )
)

select
    protocol,
    event_date,
    distribution_kind,
    fees_usd,
    case when identity_broken is null then {{ usd('fees_usd - revenue_usd') }} end as supply_side_usd,
    revenue_usd,
    holders_revenue_usd,
    case when identity_broken is null then {{ usd('revenue_usd - holders_revenue_usd') }} end
        as treasury_revenue_usd,
    identity_broken,
    distribution_usd,
    distribution_proved_native,
    market_cap_usd,
    case
        when distribution_kind = 'recurring' then {{ divide('recurring_365d_usd * n_market_caps', 'market_cap_sum') }}
    end as distribution_yield,
    claim_status,
    lifecycle_status,
    obs_status,
    source_id,
    evidence_kind,
    n_publishers,
    n_lineages,
    grade,
    known_from,
    payload_sha256,
    cited_url
from split
order by protocol, event_date, distribution_kind
