-- One row a feed of events: what its current attributes are worth.
with figures as (
    select
        source_id,
        feed,
        count(*) as n_rows,
        count(*) filter (value_text is null and value is null and event_at is null) as n_no_value,
        min(event_id || ' ' || attribute) filter (
            value_text is null and value is null and event_at is null
        ) as no_value_eg
    from scratch.ledger.event_version
    where known_to is null and obs_status != 'retracted'
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
    cross join scratch.ledger.cutoff as cutoff
    where recorded_at > cutoff.cutoff_at - interval 7 day
    group by source_id, feed
)

select
    feed.source_id || '/' || feed.feed as subject,
    coalesce(figures.n_rows, 0) as n_rows,
    coalesce(quarantine.n_attempts, 0) as n_attempts,
    coalesce(quarantine.n_rejected, 0) as n_rejected,
    quarantine.rejected_eg,
    coalesce(figures.n_no_value, 0) as n_no_value,
    figures.no_value_eg
from scratch.landing.feed as feed
left join figures on feed.source_id = figures.source_id and feed.feed = figures.feed
left join quarantine on feed.source_id = quarantine.source_id and feed.feed = quarantine.feed
where feed.shape = 'event'
order by subject
