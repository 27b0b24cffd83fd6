-- asset x NYSE session: the close of the session's UTC day (00:00 UTC after it, three to four hours after the NYSE's),
-- the return from the session before, so that Friday to Monday holds the weekend, and how much it moves.
-- Volatility: EWMA of squared returns, lambda 0.94 a session (RiskMetrics, 1996), a year as 252 sessions.
{% set decay, year = 0.94, 252 %}
with price as (
    select split_part(series_id, '.', 2) as asset, *
    from {{ ref('observation_agreed') }}
    where series_id like 'PRICE.%.USD' and value is not null
),

session as (
    select session.session_date
    from {{ ref('dim_market_session') }} as session
    cross join {{ ref('cutoff') }} as cutoff
    where session.calendar = 'NYSE' and session.close_at <= cutoff.cutoff_at
),

spine as (
    select
        listed.asset,
        session.session_date,
        row_number() over by_session as session_no,
        lag(session.session_date) over by_session as prev_session_date
    from (
        select asset, min(event_date) as first_date
        from price
        group by asset
    ) as listed
    inner join session on listed.first_date <= session.session_date
    window by_session as (partition by listed.asset order by session.session_date)
),

paired as (
    select
        spine.*,
        price.* exclude (asset),
        previous.value as prev_value,
        previous.grade as prev_grade,
        previous.known_from as prev_known_from,
        ln(price.value::double / previous.value::double) as log_return
    from spine
    left join price on spine.asset = price.asset and spine.session_date = price.event_date
    left join price as previous on spine.asset = previous.asset and spine.prev_session_date = previous.event_date
),

-- the weight of the returns that are there tells how much of the average is known: a gap leaves its share out
weighed as (
    select
        *,
        sum(log_return ** 2 * {{ decay }} ** (-session_no)) over so_far * {{ decay }} ** session_no as weighted,
        sum({{ decay }} ** (-session_no)) filter (log_return is not null) over so_far * {{ decay }} ** session_no
            as weight,
        max(known_from) over so_far as window_known_from
    from paired
    window so_far as (
        partition by asset order by session_date rows between unbounded preceding and current row
    )
)

select
    asset,
    session_date,
    value::decimal(20, 8) as close_usd,
    prev_session_date,
    date_diff('day', prev_session_date, session_date)::int as n_days,
    {{ ratio('log_return') }} as log_return,
    case
        when log_return is not null and weight * (1 - {{ decay }}) >= 0.8
            then {{ ratio('sqrt(weighted / weight * ' ~ year ~ ')') }}
    end as realised_vol,
    case
        when log_return is null then 'no_return'
        when weight * (1 - {{ decay }}) < 0.8 then 'short_history'
    end as realised_vol_reason,
    source_id,
    n_publishers,
    n_lineages,
    n_measurements,
    spread_rel,
    agreement_status,
    {{ worst_grade(['grade', 'prev_grade']) }} as grade,
    payload_sha256,
    greatest(known_from, prev_known_from) as known_from,
    window_known_from as scores_known_from
from weighed
where value is not null
order by asset, session_date
