-- Lineages that are declared independent and agree to the last digit over sixty periods: one is a copy of the other,
-- and the pair counts as one until a person says otherwise (rule G10). A period agrees where every common reading of
-- the subject's series is equal and one of them is not zero. Grain: subject (family, asset) x lineage_a x lineage_b.
{% set enough = 60 %}
with reading as (
    select
        {{ subject_of('known.series_id') }} as subject,
        known.series_id,
        coalesce(known.event_at, known.event_date::timestamptz) as period,
        known.lineage_root,
        min(source.rank) as rank,
        arg_min(known.value, (source.rank, known.source_id)) as value,
        arg_min(known.measurement_root, (source.rank, known.source_id)) as measurement_root
    from {{ ref('observation_known') }} as known
    inner join {{ source('landing', 'source') }} as source on known.source_id = source.source_id
    where known.value is not null and known.evidence_kind != 'report'
    group by all
),

period as (
    select
        one.subject,
        one.lineage_root as lineage_a,
        other.lineage_root as lineage_b,
        any_value(one.rank) as rank_a,
        min(one.measurement_root) as measurement_root_a,
        one.period,
        bool_and(one.value = other.value) as is_equal
    from reading as one
    inner join reading as other
        on one.series_id = other.series_id
        and one.period = other.period
        and (one.rank, one.lineage_root) < (other.rank, other.lineage_root)
    group by all
    having bool_or(one.value != 0 or other.value != 0)
),

island as (
    select
        *,
        row_number() over (partition by subject, lineage_a, lineage_b order by period)
        - row_number() over (partition by subject, lineage_a, lineage_b, is_equal order by period) as run
    from period
),

longest as (
    select
        subject,
        lineage_a,
        lineage_b,
        any_value(rank_a) as rank_a,
        min(measurement_root_a) as measurement_root_a,
        count(*)::int as n_periods,
        min(period)::date as first_date,
        max(period)::date as last_date
    from island
    where is_equal
    group by subject, lineage_a, lineage_b, run
    qualify row_number() over (partition by subject, lineage_a, lineage_b order by n_periods desc, last_date desc) = 1
)

select
    longest.*,
    hold.hold_id,
    hold.released_at,
    hold.released_at is null as is_counted_as_one
from longest
left join {{ ref('hold') }} as hold
    on hold.rule_id = 'G10.copy'
    and hold.series_id = longest.subject
    and hold.source_id = longest.lineage_b
    and hold.obs_status = 'copy of ' || longest.lineage_a
where longest.n_periods >= {{ enough }}
order by subject, lineage_a, lineage_b
