-- One row an expected series: the newest due day decides whether its figure is stale, and when the next one is due.
with series as (
    select
        series_id,
        arg_max(state, (event_date, state = 'landed', state)) filter (state not in ('not_due', 'holiday'))
            as newest_state,
        arg_max(state_reason, (event_date, source_id)) filter (state in ('late', 'source_gap')) as reason,
        min(due_at) filter (state = 'not_due') as next_due_at
    from {{ ref('mart_coverage_calendar') }}
    group by series_id
)

select
    series_id,
    coalesce(newest_state in ('late', 'source_gap', 'held'), false) as is_stale, -- nothing was due yet: not stale
    reason,
    next_due_at
from series
