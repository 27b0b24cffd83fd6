-- One row per series and period: the published lineage, every other beside it, how many stand behind it, and how sure
-- it is. Never an average. An ETF session's lineage is chosen as a whole (etf_lineage), so that funds and total add up.
with session as (
    select
        calendar,
        session_date,
        row_number() over (partition by calendar order by session_date) as session_no
    from {{ source('landing', 'market_session') }}
),

-- a source that dates a flow one session off is compared on the session that it means
shifted as (
    select
        shift.series_id,
        shift.source_id,
        own.session_date as own_date,
        meant.session_date
    from {{ ref('lineage_shift') }} as shift
    inner join {{ ref('series_family') }} as family on split_part(shift.series_id, '.', 1) = family.family
    inner join session as own on family.calendar = own.calendar and own.session_date >= shift.span_from
    inner join session as meant
        on family.calendar = meant.calendar and meant.session_no = own.session_no - shift.shift_sessions
    where shift.shift_sessions != 0
),

candidate as (
    select
        known.*,
        {{ printed_step('known.value', 'known.value_raw') }} as printed_step,
        source.rank,
        coalesce(lineage.is_published, false) as is_chosen,
        {{ evidence_rank('known.evidence_kind') }} as evidence_rank,
        coalesce(copied.lineage_a, known.lineage_root) as counted_lineage,
        -- whoever prints a lineage's figures again has measured what that lineage did
        coalesce(
            copied.measurement_root_a,
            min(known.measurement_root) filter (known.evidence_kind not in ('transcription', 'report')) over (
                partition by known.series_id, known.lineage_root
            ),
            known.measurement_root
        ) as counted_measurement,
        known.published_at is not null and known.value is not null and known.evidence_kind != 'report' as is_stamped,
        coalesce(shifted.session_date, known.event_date) as compared_date
    from {{ ref('observation_known') }} as known
    inner join {{ source('landing', 'source') }} as source on known.source_id = source.source_id
    left join {{ ref('etf_lineage') }} as lineage
        on known.series_id like 'ETF_FLOW.%'
        and lineage.asset = split_part(known.series_id, '.', 2)
        and lineage.session_date = known.event_date
        and lineage.source_id = known.source_id
    left join (
        {{ counted_as() | indent(8) }}
    ) as copied
        on copied.subject = {{ subject_of('known.series_id') }}
        and copied.lineage_b = known.lineage_root
    left join shifted
        on known.series_id = shifted.series_id
        and known.source_id = shifted.source_id
        and known.event_date = shifted.own_date
),

ranked as (
    select
        candidate.*,
        row_number() over (
            partition by series_id, event_date, event_at
            order by
                evidence_rank is null, -- a report is never published as a figure while anything else is there
                value is null,
                is_chosen desc,
                evidence_rank,
                rank,
                source_id
        ) as place
    from candidate
),

counted as (
    select
        series_id,
        compared_date as event_date,
        event_at,
        count(distinct source_id) filter (value is not null) as n_publishers,
        count(distinct counted_lineage) filter (value is not null and evidence_kind != 'report') as n_lineages,
        count(distinct counted_measurement) filter (value is not null and evidence_kind != 'report') as n_measurements,
        max(value) filter (evidence_kind != 'report') as highest,
        min(value) filter (evidence_kind != 'report') as lowest,
        max(printed_step) filter (evidence_kind != 'report') as coarsest_step,
        -- what is said of one lineage under one stamp (a block, a statement) is one figure, whoever transcribes it
        count(distinct source_id) filter (is_stamped) as n_stamped,
        count(distinct row(lineage_root, published_at)) filter (is_stamped)
        < count(distinct row(lineage_root, published_at, value)) filter (is_stamped) as is_contradicted,
        string_agg(source_id || ' ' || regexp_replace(value::varchar, '\.?0+$', ''), ', ' order by place) filter (
            place > 1 and value is not null
        ) as others
    from ranked
    group by series_id, compared_date, event_at
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
        -- a shifted source alone on its own date has nothing to be compared with there
        coalesce(counted.n_publishers, 1)::int as n_publishers,
        coalesce(counted.n_lineages, 1)::int as n_lineages,
        coalesce(counted.n_measurements, 1)::int as n_measurements,
        counted.others,
        coalesce(counted.n_stamped, 0) as n_stamped,
        {{ divide('counted.highest - counted.lowest', 'abs(ranked.value)') }} as spread,
        case
            when counted.is_contradicted then 'conflict'
            when
                (counted.highest is not distinct from counted.lowest)
                or round(counted.highest::double / counted.coarsest_step)
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
        end as closeness
    from ranked
    left join counted
        on ranked.series_id = counted.series_id
        and ranked.event_date = counted.event_date
        and ranked.event_at is not distinct from counted.event_at
    left join {{ ref('series_family') }} as family on split_part(ranked.series_id, '.', 1) = family.family
    where ranked.place = 1
),

-- one lineage stands alone, and conflicts where those who transcribe it with its stamp differ; a copy without one may
-- only be late
judged as (
    select
        *,
        case
            when n_lineages < 2 and (n_stamped < 2 or closeness != 'conflict') then 'single_source'
            else closeness
        end as agreement_status
    from compared
)

select
    * exclude (spread, closeness, n_stamped),
    case when agreement_status = 'single_source' then 0::decimal(18, 8) else spread end as spread_rel,
    {{ grade('evidence_kind', 'agreement_status', 'n_lineages', 'n_measurements') }} as grade
from judged
order by series_id, event_date, event_at
