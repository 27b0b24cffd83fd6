-- One row per series and period: the published lineage, every other beside it, how many stand behind it, and how sure
-- it is. Never an average. An ETF session's lineage is chosen as a whole (etf_lineage), so that funds and total add up.
with candidate as (
    select
        known.*,
        {{ printed_step('known.value', 'known.value_raw') }} as printed_step,
        source.rank,
        coalesce(lineage.is_published, false) as is_chosen,
        case known.evidence_kind
            when 'origin' then 1 when 'measurement' then 2 when 'compilation' then 3 when 'transcription' then 4
        end as evidence_rank
    from {{ ref('observation_known') }} as known
    inner join {{ source('landing', 'source') }} as source on known.source_id = source.source_id
    left join {{ ref('etf_lineage') }} as lineage
        on known.series_id like 'ETF_FLOW.%'
        and lineage.asset = split_part(known.series_id, '.', 2)
        and lineage.session_date = known.event_date
        and lineage.source_id = known.source_id
),

ranked as (
    select
        candidate.*,
        row_number() over (
            partition by series_id, event_date, event_at
            order by
                evidence_rank nulls last, -- a report is never published as a figure while anything else is there
                value is null,
                is_chosen desc,
                rank,
                source_id
        ) as place
    from candidate
),

counted as (
    select
        series_id,
        event_date,
        event_at,
        count(distinct source_id) filter (value is not null) as n_publishers,
        count(distinct lineage_root) filter (value is not null and evidence_kind != 'report') as n_lineages,
        count(distinct measurement_root) filter (value is not null and evidence_kind != 'report') as n_measurements,
        max(value) filter (evidence_kind != 'report') as highest,
        min(value) filter (evidence_kind != 'report') as lowest,
        max(printed_step) filter (evidence_kind != 'report') as coarsest_step,
        string_agg(source_id || ' ' || regexp_replace(value::varchar, '\.?0+$', ''), ', ' order by place) filter (
            place > 1 and value is not null
        ) as others
    from ranked
    group by series_id, event_date, event_at
),

compared as (
    select
        ranked.series_id,
        ranked.event_date,
        ranked.event_at,
        case when ranked.evidence_kind != 'report' then ranked.value end as value,
        ranked.unit,
        ranked.obs_status,
        ranked.source_id,
        ranked.lineage_root,
        ranked.evidence_kind,
        ranked.measurement_root,
        ranked.known_from,
        ranked.vintage_kind,
        ranked.payload_sha256,
        counted.n_publishers::int as n_publishers,
        counted.n_lineages::int as n_lineages,
        counted.n_measurements::int as n_measurements,
        counted.others,
        case
            when counted.n_lineages < 2 then 0::decimal(18, 8)
            else {{ divide('counted.highest - counted.lowest', 'abs(ranked.value)') }}
        end as spread_rel,
        case
            when counted.n_lineages < 2 then 'single_source'
            when
                round(counted.highest::double / counted.coarsest_step)
                = round(counted.lowest::double / counted.coarsest_step)
                then 'agree'
            when
                counted.highest - counted.lowest <= greatest(
                    coalesce(family.tolerance_abs, 0)::decimal(38, 18), -- none is declared: none is granted
                    (
                        abs(ranked.value)::decimal(28, 8)
                        * coalesce(
                            family.tolerance_rel, case when family.tolerance_abs is null then 0.01 end, 0
                        )::decimal(10, 8)
                    )::decimal(38, 16)
                )
                then 'within_tolerance'
            else 'conflict'
        end as agreement_status
    from ranked
    inner join counted
        on ranked.series_id = counted.series_id
        and ranked.event_date = counted.event_date
        and ranked.event_at is not distinct from counted.event_at
    left join {{ ref('series_family') }} as family on split_part(ranked.series_id, '.', 1) = family.family
    where ranked.place = 1
)

select
    *,
    {{ grade('evidence_kind', 'agreement_status', 'n_lineages', 'n_measurements') }} as grade
from compared
order by series_id, event_date, event_at
