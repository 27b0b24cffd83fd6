-- event x series: the newest reading that was known at the event's instant, for whoever asks what a decision was taken
-- on. A version is joined by the instants between which it was the known one, so that nothing later can be in a row: no
-- page, no revision, no listing that came afterwards changes it. A report is nobody's reading.
with event as (
    select
        event.event_id,
        event.kind,
        event.event_at,
        event.slack_s
    from {{ ref('dim_event') }} as event
    inner join {{ ref('cutoff') }} as cutoff on event.event_at <= cutoff.cutoff_at
),

reading as (
    select
        event.*,
        version.series_id,
        version.source_id,
        version.lineage_root,
        version.evidence_kind,
        version.event_date as reading_date,
        version.event_at as reading_at,
        version.value,
        version.unit,
        version.obs_status,
        version.known_from,
        version.vintage_kind,
        version.payload_sha256,
        version.locator
    from event
    inner join {{ ref('observation_version') }} as version
        on event.event_at >= version.known_from
        and (version.known_to is null or event.event_at < version.known_to)
    where version.value is not null
        and version.obs_status not in ('held', 'retracted')
        and version.evidence_kind != 'report'
),

newest as (
    select reading.*
    from reading
    inner join {{ source('landing', 'source') }} as source on reading.source_id = source.source_id
    qualify
        row_number() over (
            partition by reading.event_id, reading.series_id
            order by
                reading.reading_date desc,
                reading.reading_at desc nulls last,
                {{ evidence_rank('reading.evidence_kind') }},
                source.rank,
                reading.source_id
        ) = 1
),

-- funds as they were listed, and those that had reported, at the event's instant: a printed total is a running sum
fund as (
    select
        event.event_id,
        {{ attribute('asset') }} as asset,
        {{ attribute('ticker') }} as ticker,
        {{ attribute('listed_on', type='date') }} as listed_on,
        {{ attribute('delisted_on', type='date') }} as delisted_on
    from event
    inner join {{ ref('event_version') }} as version
        on event.event_at >= version.known_from
        and (version.known_to is null or event.event_at < version.known_to)
    where version.kind = 'FUND' and version.obs_status not in ('held', 'retracted')
    group by event.event_id, version.event_id
),

unfinished as (
    select total.event_id, total.series_id
    from newest as total
    inner join fund
        on total.event_id = fund.event_id
        and total.series_id = 'ETF_FLOW.' || fund.asset || '.TOTAL'
        and total.reading_date >= fund.listed_on
        and (fund.delisted_on is null or total.reading_date < fund.delisted_on)
    left join reading
        on total.event_id = reading.event_id
        and total.source_id = reading.source_id
        and total.reading_date = reading.reading_date
        and reading.series_id = 'ETF_FLOW.' || fund.asset || '.' || fund.ticker
    group by total.event_id, total.series_id
    having count(reading.series_id) < count(*)
)

select
    newest.event_id,
    newest.kind,
    newest.event_at,
    newest.slack_s,
    newest.series_id,
    newest.source_id,
    newest.lineage_root,
    newest.evidence_kind,
    newest.reading_date,
    newest.reading_at,
    newest.value,
    newest.unit,
    case when unfinished.series_id is not null then 'partial' else newest.obs_status end as obs_status,
    {{ divide("date_diff('second', newest.known_from, newest.event_at)", '3600', 2) }} as age_hours,
    (newest.event_at::date - newest.reading_date)::int as period_age_days,
    newest.known_from,
    newest.vintage_kind,
    newest.payload_sha256,
    newest.locator
from newest
left join unfinished on newest.event_id = unfinished.event_id and newest.series_id = unfinished.series_id
order by newest.event_at, newest.event_id, newest.series_id
