-- event_date x tenor (`policy`, `2y`, `10y`): US minus Japan in basis points, on every calendar day up to the cut-off.
-- A market tenor has a leg on the days that its market printed; the policy tenor steps on the effective date.
-- `*_known_*` is what a reader had at 21:00 UTC of the day. It is taken from the current version of each leg: where a
-- leg was revised later, the day before its revision is held from the leg's previous day.
with cutoff as (
    select cutoff_at from {{ ref('cutoff') }}
),

leg as (
    select
        lower(split_part(series_id, '.', 2)) as side,
        lower(split_part(series_id, '.', 3)) as tenor,
        event_date,
        value::decimal(18, 8) as pct,
        null::decimal(18, 8) as lower_pct,
        null::decimal(18, 8) as upper_pct,
        source_id,
        n_publishers,
        n_lineages,
        n_measurements,
        grade,
        known_from
    from {{ ref('observation_agreed') }}
    where series_id in ('YIELD.US.2Y', 'YIELD.JP.2Y', 'YIELD.US.10Y', 'YIELD.JP.10Y') and value is not null

    union all by name

    -- a decision that names no effective date left the rate where it was, so it is in force when it is taken
    select
        case bank when 'FOMC' then 'us' when 'BOJ' then 'jp' end as side,
        'policy' as tenor,
        coalesce(effective_date, decision_date) as event_date,
        rate_after_pct as pct,
        rate_after_lower_pct as lower_pct,
        rate_after_upper_pct as upper_pct,
        source_id,
        n_publishers,
        n_lineages,
        n_lineages as n_measurements,
        grade,
        known_from
    from {{ ref('fct_policy_decision') }}
    where bank in ('FOMC', 'BOJ')
),

opening as (
    select tenor, min(event_date) as event_date
    from leg
    group by tenor
),

spine as (
    select opening.tenor, day.session_date as event_date
    from opening
    cross join cutoff
    inner join {{ source('landing', 'market_session') }} as day
        on day.calendar = 'UTC247'
        and day.session_date >= opening.event_date
        and day.session_date <= cutoff.cutoff_at::date
),

-- the leg of the day, and the newest leg that was known at 21:00 UTC; a market leg is held for a month at most
held as (
    select
        spine.tenor,
        spine.event_date,
        leg.side,
        arg_max(leg, leg.event_date) filter (leg.event_date = spine.event_date or spine.tenor = 'policy') as dated,
        arg_max(leg, leg.event_date) filter (
            leg.known_from <= spine.event_date::timestamptz + interval 21 hour
        ) as known
    from spine
    inner join leg
        on spine.tenor = leg.tenor
        and leg.event_date <= spine.event_date
        and (spine.tenor = 'policy' or leg.event_date > spine.event_date - 31)
    group by all
),

paired as (
    select
        spine.tenor,
        spine.event_date,
        us.dated as us,
        jp.dated as jp,
        us.known as us_known,
        jp.known as jp_known,
        {{ bp('us.dated.pct - jp.dated.pct') }} as diff_bp,
        -- the grade is of the day's own legs, and of the held ones on a day that has no difference of its own
        us.dated is not null and jp.dated is not null as is_own
    from spine
    left join held as us on spine.tenor = us.tenor and spine.event_date = us.event_date and us.side = 'us'
    left join held as jp on spine.tenor = jp.tenor and spine.event_date = jp.event_date and jp.side = 'jp'
),

changed as (
    select
        tenor,
        event_date,
        diff_bp - lag(diff_bp) over by_day as change_bp,
        row_number() over by_day as reading_no
    from paired
    where diff_bp is not null
    window by_day as (partition by tenor order by event_date)
),

ranked as (
    select
        today.tenor,
        today.event_date,
        any_value(today.change_bp) as change_bp,
        count(past.change_bp) as n_prior,
        count(*) filter (abs(past.change_bp) <= abs(today.change_bp)) as n_smaller
    from changed as today
    left join changed as past
        on today.tenor = past.tenor
        and past.reading_no between today.reading_no - 60 and today.reading_no - 1
    group by today.tenor, today.event_date
),

overnight as (
    select
        us.event_date,
        {{ bp('us.value - jp.value') }} as diff_effective_bp,
        greatest(us.known_from, jp.known_from) as known_from
    from {{ ref('observation_agreed') }} as us
    inner join {{ ref('observation_agreed') }} as jp
        on us.event_date = jp.event_date and us.series_id = 'RATE.US.EFFR' and jp.series_id = 'RATE.JP.CALL'
    where us.value is not null and jp.value is not null
)

select
    paired.event_date,
    paired.tenor,
    paired.us.pct as us_pct,
    paired.jp.pct as jp_pct,
    paired.diff_bp,
    {{ bp('paired.us.lower_pct - paired.jp.pct') }} as diff_lower_bp,
    {{ bp('paired.us.upper_pct - paired.jp.pct') }} as diff_upper_bp,
    case when paired.tenor = 'policy' then overnight.diff_effective_bp end as diff_effective_bp,
    paired.us_known.event_date as us_known_date,
    paired.jp_known.event_date as jp_known_date,
    {{ bp('paired.us_known.pct - paired.jp_known.pct') }} as diff_known_bp,
    ranked.change_bp,
    case
        when paired.tenor != 'policy' and ranked.n_prior >= 48 then {{ divide('ranked.n_smaller', 'ranked.n_prior') }}
    end as abs_change_pctile60,
    case
        when paired.tenor = 'policy'
            then max(paired.event_date) filter (ranked.change_bp != 0) over up_to_the_day
    end as last_change_date,
    coalesce(paired.us, paired.us_known).source_id as us_source_id,
    coalesce(paired.jp, paired.jp_known).source_id as jp_source_id,
    {{ of_both_legs('least', 'n_publishers') }} as n_publishers,
    {{ of_both_legs('least', 'n_lineages') }} as n_lineages,
    {{ of_both_legs('least', 'n_measurements') }} as n_measurements,
    {{ of_both_legs('greatest', 'grade') }} as grade, -- the worse of two letters is the later one
    greatest(
        paired.us.known_from,
        paired.jp.known_from,
        paired.us_known.known_from,
        paired.jp_known.known_from,
        case when paired.tenor = 'policy' then overnight.known_from end
    ) as known_from
from paired
left join ranked on paired.tenor = ranked.tenor and paired.event_date = ranked.event_date
left join overnight on paired.event_date = overnight.event_date
window up_to_the_day as (partition by paired.tenor order by paired.event_date)
order by paired.event_date, paired.tenor
