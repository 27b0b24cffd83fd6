-- Whether a source dates a flow to the session to which the series' published source does, or one before or after:
-- correlation by lag over the newest sixty common sessions, since one day cannot tell. Grain: series_id x source_id.
{% set span, enough = 60, 40 %}
with session as (
    select
        calendar,
        session_date,
        row_number() over (partition by calendar order by session_date) as session_no
    from {{ source('landing', 'market_session') }}
),

reading as (
    select
        known.series_id,
        known.source_id,
        session.session_date,
        session.session_no,
        known.value::double as value,
        count(*) filter (lineage.is_published) over (partition by known.series_id, known.source_id) as n_published,
        {{ evidence_rank('known.evidence_kind') }} as evidence_rank,
        source.rank
    from {{ ref('observation_known') }} as known
    inner join {{ source('landing', 'source') }} as source on known.source_id = source.source_id
    inner join {{ ref('series_family') }} as family
        on split_part(known.series_id, '.', 1) = family.family and family.measure = 'flow'
    inner join session on family.calendar = session.calendar and known.event_date = session.session_date
    left join {{ ref('etf_lineage') }} as lineage
        on lineage.asset = split_part(known.series_id, '.', 2)
        and lineage.session_date = known.event_date
        and lineage.source_id = known.source_id
    where known.value is not null and known.evidence_kind != 'report'
),

-- the source that is published most often is the one that others are compared with
placed as (
    select
        *,
        dense_rank() over (
            partition by series_id order by n_published desc, evidence_rank, rank, source_id
        ) as place
    from reading
),

paired as (
    select
        other.series_id,
        other.source_id,
        reference.source_id as reference_source_id,
        other.session_no - reference.session_no as lag,
        other.session_no,
        other.session_date,
        reference.value as reference_value,
        other.value
    from placed as other
    inner join placed as reference
        on other.series_id = reference.series_id
        and reference.place = 1
        and other.place > 1
        and other.session_no - reference.session_no between -1 and 1
    qualify
        row_number() over (partition by other.series_id, other.source_id, lag order by other.session_no desc)
        <= {{ span }}
),

correlated as (
    select
        series_id,
        source_id,
        reference_source_id,
        lag,
        count(*)::int as n_sessions,
        min(session_date) as span_from,
        {{ ratio('corr(reference_value, value order by session_no)') }} as correlation
    from paired
    group by all
    having count(*) >= {{ enough }} and stddev_pop(value) > 0 and stddev_pop(reference_value) > 0
),

best as (
    select
        series_id,
        source_id,
        reference_source_id,
        arg_max(lag, (correlation, -abs(lag)))::int as best_lag,
        max(correlation) as best_correlation,
        coalesce(max(correlation) filter (lag = 0), 0)::decimal(18, 8) as same_correlation,
        arg_max(n_sessions, (correlation, -abs(lag))) as n_sessions,
        arg_max(span_from, (correlation, -abs(lag))) as span_from
    from correlated
    group by all
)

select
    series_id,
    source_id,
    reference_source_id,
    -- flows of neighbouring sessions resemble each other (0.54 at one session): a shift must be far more like than that
    case
        when best_correlation >= 0.9 and best_correlation - same_correlation >= 0.2 then best_lag else 0
    end as shift_sessions,
    n_sessions,
    same_correlation,
    best_correlation,
    span_from
from best
order by series_id, source_id
