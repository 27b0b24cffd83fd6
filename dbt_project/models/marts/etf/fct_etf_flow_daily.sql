-- ticker x session x source x version: what each publisher said of each fund, and when.
with aum as (
    select asset, session_date, ticker, aum_prev_usd from {{ ref('etf_fund_aum') }}
)

select
    split_part(version.series_id, '.', 2) as asset,
    split_part(version.series_id, '.', 3) as ticker,
    version.event_date as session_date,
    version.source_id,
    version.version_no,
    version.lineage_root,
    version.evidence_kind,
    case when version.obs_status != 'held' then {{ usd('version.value') }} end as net_flow_usd,
    {{ usd('aum.aum_prev_usd') }} as aum_prev_usd,
    case
        when version.obs_status != 'held' then {{ divide('version.value * 10000', 'aum.aum_prev_usd') }}
    end as pct_aum_bp,
    coalesce(lineage.is_published, false) as is_published_lineage,
    version.obs_status,
    version.revision_kind,
    version.published_at,
    version.known_from,
    version.known_to,
    version.vintage_kind,
    version.payload_sha256,
    version.locator,
    version.parser_version,
    version.unit,
    version.value_raw
from {{ ref('observation_version') }} as version
left join aum
    on aum.asset = split_part(version.series_id, '.', 2)
    and aum.ticker = split_part(version.series_id, '.', 3)
    and aum.session_date = version.event_date
left join {{ ref('etf_lineage') }} as lineage
    on lineage.asset = split_part(version.series_id, '.', 2)
    and lineage.session_date = version.event_date
    and lineage.source_id = version.source_id
where version.series_id like 'ETF_FLOW.%'
order by asset, ticker, session_date, source_id, version_no
