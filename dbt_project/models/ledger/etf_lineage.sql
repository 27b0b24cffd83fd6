-- How complete each source's fund split of a session is, and which one source is published for it as a whole.
-- Grain: asset x session_date x source_id.
with reading as (
    select
        source_id,
        event_date as session_date,
        split_part(series_id, '.', 2) as asset,
        split_part(series_id, '.', 3) as ticker,
        {{ evidence_rank('evidence_kind') }} as evidence_rank,
        value
    from {{ ref('observation_known') }}
    where series_id like 'ETF_FLOW.%' and value is not null and evidence_kind != 'report'
),

per_source as (
    select
        weighed.asset,
        weighed.session_date,
        reading.source_id,
        any_value(weighed.n_funds_listed) as n_funds_listed,
        any_value(weighed.session_aum_usd) as session_aum_usd,
        min(reading.evidence_rank) as evidence_rank,
        count(*) as n_funds_reported,
        sum(weighed.aum_prev_usd) as reported_aum_usd
    from {{ ref('etf_fund_aum') }} as weighed
    inner join reading
        on weighed.asset = reading.asset
        and weighed.ticker = reading.ticker
        and weighed.session_date = reading.session_date
    group by all

    union all by name

    -- a source that prints a total without a fund split stands behind every source that has one
    select
        reading.asset,
        reading.session_date,
        reading.source_id,
        count(distinct weighed.ticker) as n_funds_listed,
        any_value(weighed.session_aum_usd) as session_aum_usd,
        min(reading.evidence_rank) as evidence_rank,
        0 as n_funds_reported,
        null::decimal(38, 18) as reported_aum_usd
    from reading
    left join {{ ref('etf_fund_aum') }} as weighed
        on reading.asset = weighed.asset and reading.session_date = weighed.session_date
    where reading.ticker = 'TOTAL'
        and not exists (
            select 1 from reading as split
            where split.asset = reading.asset
                and split.session_date = reading.session_date
                and split.source_id = reading.source_id
                and split.ticker != 'TOTAL'
        )
    group by all
),

scored as (
    select
        per_source.*,
        {{ divide('reported_aum_usd', 'session_aum_usd') }} as completeness_aum,
        n_funds_reported > 0 and n_funds_reported = n_funds_listed as is_complete,
        -- an issuer's own figures make a session where every listed fund has them; until then they stand beside it
        evidence_rank = 1 and (n_funds_reported = 0 or n_funds_reported != n_funds_listed) as is_beside,
        source.rank
    from per_source
    inner join {{ source('landing', 'source') }} as source on per_source.source_id = source.source_id
)

select
    asset,
    session_date,
    source_id,
    n_funds_listed::int as n_funds_listed,
    n_funds_reported::int as n_funds_reported,
    session_aum_usd,
    completeness_aum,
    is_complete,
    row_number() over (
        partition by asset, session_date
        order by
            is_beside,
            is_complete desc,
            case when is_complete then evidence_rank = 1 end desc nulls last,
            case when is_complete then rank end nulls last,
            n_funds_reported > 0 desc,
            completeness_aum desc nulls last,
            n_funds_reported desc,
            evidence_rank, -- a copy's total never stands before that of a compilation
            source_id
    ) = 1 and not is_beside as is_published
from scored
order by asset, session_date, source_id
