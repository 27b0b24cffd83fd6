-- source x asset x hours since the close: how far off a session's total was at that hour, against what is known now.
-- The total is the printed one: a source without a fund split has no other, it is one cell with one chain of versions,
-- and where there is a split it is the running sum of the funds reported so far, which is what our own total is then.
-- A session counts once it has settled (168 hours, the end of the grid) and if its first print was seen to arrive: a
-- dated sighting at most twelve hours after the close, or after a page that was still without it. Longer gaps say when
-- we looked, not when the source spoke. Sessions with a withheld total are left out: a release has our own instant.
with grid as (
    select unnest([0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 36, 48, 72, 168])::int as hours_since_close
),

version as (
    select
        version.source_id,
        split_part(version.series_id, '.', 2) as asset,
        split_part(version.series_id, '.', 3) as ticker,
        version.event_date as session_date,
        session.close_at,
        version.feed,
        version.version_no,
        version.value,
        version.obs_status,
        version.vintage_kind,
        version.known_from,
        version.known_to
    from {{ ref('observation_version') }} as version
    inner join {{ ref('dim_market_session') }} as session
        on session.calendar = 'NYSE' and version.event_date = session.session_date
    cross join {{ ref('cutoff') }} as cutoff
    where version.series_id like 'ETF_FLOW.%' and session.close_at + interval 168 hour <= cutoff.cutoff_at
),

total as (
    select *, max(value) filter (known_to is null) over (partition by source_id, asset, session_date) as settled
    from version
    where ticker = 'TOTAL'
),

-- a total is final from the end of its last other value on
printed as (
    select
        source_id,
        asset,
        session_date,
        close_at,
        settled,
        arg_min(vintage_kind, version_no) as vintage_kind,
        arg_min(feed, version_no) filter (value is not null) as feed,
        arg_min(value, version_no) filter (value is not null) as first_print,
        min(known_from) filter (value is not null) as printed_at,
        max(known_to) filter (value is distinct from settled) as last_other_until,
        max(known_from) as known_from
    from total
    where settled is not null
    group by source_id, asset, session_date, close_at, settled
    having count(*) filter (obs_status = 'held') = 0
),

session as (
    select
        printed.*,
        date_diff('second', printed.close_at, coalesce(printed.last_other_until, printed.printed_at)) as final_after_s
    from printed
    where printed.vintage_kind in ('archive', 'first_seen', 'publisher')
        and (
            printed.vintage_kind = 'publisher'
            or printed.printed_at <= printed.close_at + interval 12 hour
            or exists (
                select 1 from {{ source('landing', 'page') }} as page
                where page.source_id = printed.source_id
                    and page.feed = printed.feed
                    and page.vintage_kind != 'pseudo'
                    and page.seen_at < printed.printed_at
                    and page.seen_at >= printed.printed_at - interval 12 hour
            )
        )
),

whole as (
    select
        source_id,
        asset,
        count(*) as n_sessions,
        median(abs(first_print - settled)) as first_print_error,
        count(*) filter (sign(first_print) != sign(settled)) as n_first_print_wrong,
        median(final_after_s) as median_s,
        quantile_disc(final_after_s, 0.9) as p90_s,
        max(known_from) as known_from
    from session
    group by source_id, asset
),

-- funds after whose first figure no other fund's came; of funds that came together each was last
fund_print as (
    select
        version.source_id,
        version.asset,
        version.session_date,
        version.ticker,
        min(version.known_from) as known_from
    from version
    inner join session
        on version.source_id = session.source_id
        and version.asset = session.asset
        and version.session_date = session.session_date
    where version.ticker != 'TOTAL' and version.value is not null and version.obs_status != 'held'
    group by all
),

reported_last as (
    select * from fund_print
    qualify known_from = max(known_from) over (partition by source_id, asset, session_date)
),

often_last as (
    select source_id, asset, ticker, count(*) as n_last, max(known_from) as known_from
    from reported_last
    group by source_id, asset, ticker
    qualify count(*) = max(count(*)) over (partition by source_id, asset)
),

last_one as (
    select
        source_id,
        asset,
        string_agg(ticker, ', ' order by ticker) as tickers,
        max(n_last) as n_last
    from often_last
    group by source_id, asset
),

-- half-open, as everywhere: what came at the very hour was known by then
at_hour as (
    select
        session.source_id,
        session.asset,
        grid.hours_since_close,
        total.value,
        session.settled,
        abs(total.value - session.settled) as error
    from session
    cross join grid
    left join total
        on session.source_id = total.source_id
        and session.asset = total.asset
        and session.session_date = total.session_date
        and total.known_from <= session.close_at + to_hours(grid.hours_since_close)
        and (total.known_to is null or session.close_at + to_hours(grid.hours_since_close) < total.known_to)
),

by_hour as (
    select
        source_id,
        asset,
        hours_since_close,
        count(value) as n_known,
        count(*) filter (error = 0) as n_final,
        median(error) as median_error,
        count(*) filter (sign(value) != sign(settled)) as n_wrong_sign
    from at_hour
    group by source_id, asset, hours_since_close
)

select
    by_hour.source_id,
    by_hour.asset,
    by_hour.hours_since_close,
    whole.n_sessions::int as n_sessions,
    by_hour.n_known::int as n_known,
    by_hour.n_final::int as n_final,
    {{ divide('by_hour.n_final', 'whole.n_sessions') }} as final_share,
    {{ usd('by_hour.median_error') }} as median_abs_error_usd,
    {{ divide('by_hour.n_wrong_sign', 'by_hour.n_known') }} as wrong_sign_share,
    {{ usd('whole.first_print_error') }} as median_first_print_error_usd,
    {{ divide('whole.n_first_print_wrong', 'whole.n_sessions') }} as first_print_wrong_sign_share,
    {{ divide('whole.median_s', '3600', 2) }} as median_hours_to_final,
    {{ divide('whole.p90_s', '3600', 2) }} as p90_hours_to_final,
    last_one.tickers as last_ticker,
    {{ divide('last_one.n_last', 'whole.n_sessions') }} as last_ticker_share,
    whole.known_from
from by_hour
inner join whole on by_hour.source_id = whole.source_id and by_hour.asset = whole.asset
left join last_one on by_hour.source_id = last_one.source_id and by_hour.asset = last_one.asset
order by by_hour.source_id, by_hour.asset, by_hour.hours_since_close
