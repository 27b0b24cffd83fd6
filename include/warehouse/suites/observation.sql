-- One row a feed of numbers: what its current versions are worth. Examples are the newest three.
with cutoff as (
    select cutoff_at from scratch.ledger.cutoff
),

feed as (
    select source_id, feed, source_id || '/' || feed as subject
    from scratch.landing.feed
    where shape = 'observation'
),

current as (
    select
        version.*,
        coalesce(version.unit != family.unit, true) as is_bad_unit, -- a series of no family has no unit to trust
        agreed.agreement_status
    from scratch.ledger.observation_version as version
    left join scratch.ledger.series_family as family on split_part(version.series_id, '.', 1) = family.family
    left join scratch.ledger.observation_agreed as agreed
        on agreed.source_id = version.source_id
        and agreed.series_id = version.series_id
        and agreed.event_date = version.event_date
        and agreed.event_at is not distinct from version.event_at
    where version.known_to is null and version.obs_status != 'retracted'
),

figures as (
    select
        source_id,
        feed,
        count(*) as n_rows,
        count(*) filter (is_bad_unit) as n_bad_unit,
        min(series_id || ' in ' || unit) filter (is_bad_unit) as bad_unit_eg,
        count(*) filter (value is null and obs_status in ('final', 'partial', 'reported_zero')) as n_no_value,
        min(series_id) filter (value is null and obs_status in ('final', 'partial', 'reported_zero')) as no_value_eg,
        count(*) filter (obs_status = 'held') as n_held,
        array_to_string(
            max(series_id || ' ' || event_date, 3) filter (obs_status = 'held'), ', '
        ) as held_eg,
        count(*) filter (obs_status = 'not_yet') as n_not_yet,
        array_to_string(max(event_date::varchar, 3) filter (obs_status = 'not_yet'), ', ') as not_yet_eg,
        count(*) filter (obs_status = 'holiday') as n_holiday,
        array_to_string(max(event_date::varchar, 3) filter (obs_status = 'holiday'), ', ') as holiday_eg,
        count(*) filter (agreement_status = 'single_source' and evidence_kind != 'origin') as n_single_source,
        max(series_id || ' ' || event_date) filter (
            agreement_status = 'single_source' and evidence_kind != 'origin'
        ) as single_source_eg,
        count(*) filter (agreement_status = 'conflict') as n_conflict,
        array_to_string(
            max(series_id || ' ' || event_date, 3) filter (agreement_status = 'conflict'), ', '
        ) as conflict_eg
    from current
    group by source_id, feed
),

-- a table filled with zeros while its session is still open has said nothing yet
placeholder as (
    select source_id, feed, count(*) as n_placeholder, max(event_date)::varchar as placeholder_eg
    from (
        select current.source_id, current.feed, current.event_date, split_part(current.series_id, '.', 2) as asset
        from current
        cross join cutoff
        inner join scratch.landing.market_session as session
            on session.calendar = 'NYSE'
            and session.session_date = current.event_date
            and session.close_at > cutoff.cutoff_at
        where current.series_id like 'ETF_FLOW.%' and current.series_id not like '%.TOTAL'
        group by all
        having bool_and(current.value = 0)
    )
    group by source_id, feed
),

coverage as (
    select
        source_id,
        feed,
        count(*) as n_expected,
        count(*) filter (state = 'late') as n_late,
        array_to_string(max(series_id || ' ' || event_date, 3) filter (state = 'late'), ', ') as late_eg,
        count(*) filter (state = 'source_gap') as n_gap,
        array_to_string(max(series_id || ' ' || event_date, 3) filter (state = 'source_gap'), ', ') as gap_eg
    from warehouse.marts.mart_coverage_calendar
    group by source_id, feed
),

shift as (
    select known.source_id, known.feed, count(distinct shift.series_id) as n_shift,
        min(shift.series_id || ' ' || shift.shift_sessions || ' sessions from ' || shift.reference_source_id)
            as shift_eg
    from scratch.ledger.lineage_shift as shift
    inner join scratch.ledger.observation_known as known
        on known.series_id = shift.series_id and known.source_id = shift.source_id
    where shift.shift_sessions != 0
    group by all
),

-- iShares creates and redeems in baskets of 40,000 shares: another change may be a misread cell, or a basket that changed
basket as (
    select source_id, feed, count(*) as n_basket,
        array_to_string(max(series_id || ' ' || event_date || ' by ' || change::decimal(38, 2), 3), ', ') as basket_eg
    from (
        select *, value - lag(value) over (partition by series_id order by event_date) as change
        from current
        where source_id = 'ishares' and series_id like 'SHARES.%' and value is not null
    )
    where change % 40000 != 0
    group by source_id, feed
),

quarantine as (
    select
        source_id,
        feed,
        count(*) as n_attempts,
        count(*) filter (outcome = 'REJECTED') as n_rejected,
        max(reason) filter (outcome = 'REJECTED') as rejected_eg
    from scratch.landing.fetch_outcome
    cross join cutoff
    where recorded_at > cutoff.cutoff_at - interval 7 day
    group by source_id, feed
)

select
    feed.subject,
    coalesce(figures.n_rows, 0) as n_rows,
    coalesce(quarantine.n_attempts, 0) as n_attempts,
    coalesce(quarantine.n_rejected, 0) as n_rejected,
    quarantine.rejected_eg,
    coalesce(figures.n_bad_unit, 0) as n_bad_unit,
    figures.bad_unit_eg,
    coalesce(figures.n_no_value, 0) as n_no_value,
    figures.no_value_eg,
    coalesce(coverage.n_expected, 0) as n_expected,
    coalesce(coverage.n_late, 0) as n_late,
    coverage.late_eg,
    coalesce(coverage.n_gap, 0) as n_gap,
    coverage.gap_eg,
    coalesce(figures.n_single_source, 0) as n_single_source,
    figures.single_source_eg,
    coalesce(figures.n_conflict, 0) as n_conflict,
    figures.conflict_eg,
    coalesce(shift.n_shift, 0) as n_shift,
    shift.shift_eg,
    coalesce(basket.n_basket, 0) as n_basket,
    basket.basket_eg,
    coalesce(figures.n_held, 0) as n_held,
    figures.held_eg,
    coalesce(figures.n_not_yet, 0) + coalesce(placeholder.n_placeholder, 0) as n_not_yet,
    coalesce(placeholder.placeholder_eg, figures.not_yet_eg) as not_yet_eg,
    coalesce(figures.n_holiday, 0) as n_holiday,
    figures.holiday_eg
from feed
left join figures on feed.source_id = figures.source_id and feed.feed = figures.feed
left join placeholder on feed.source_id = placeholder.source_id and feed.feed = placeholder.feed
left join coverage on feed.source_id = coverage.source_id and feed.feed = coverage.feed
left join basket on feed.source_id = basket.source_id and feed.feed = basket.feed
left join shift on feed.source_id = shift.source_id and feed.feed = shift.feed
left join quarantine on feed.source_id = quarantine.source_id and feed.feed = quarantine.feed
order by feed.subject
