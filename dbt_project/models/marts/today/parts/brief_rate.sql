-- The first screen's lines on rates: the newest gap of each tenor, and the last decision of each bank.
with rate as (
    select rate.*
    from {{ ref('fct_rate_differential_daily') }} as rate
    where rate.diff_bp is not null
    qualify row_number() over (partition by rate.tenor order by rate.event_date desc) = 1
),

dissent as (
    select
        meeting_id,
        'against: ' || string_agg(
            coalesce(official_name, member_id) || coalesce(' for ' || {{ shown('preferred_rate_pct', 3) }} || ' %', ''),
            ', ' order by member_id
        ) as words
    from {{ ref('fct_policy_vote') }}
    where vote = 'against'
    group by meeting_id
)

select
    case rate.tenor when 'policy' then 5 when '2y' then 6 else 7 end as place,
    case rate.tenor
        when 'policy' then 'Policy rate gap, US minus Japan' else rate.tenor || ' yield gap, US minus Japan'
    end || ', ' || rate.event_date as headline,
    rate.event_date,
    rate.diff_bp::decimal(38, 18) as value,
    {{ shown('rate.diff_bp', 1) }} || ' bp (' || coalesce(
        {{ shown('rate.diff_lower_bp', 1) }} || ' to ' || {{ shown('rate.diff_upper_bp', 1) }}
        || ' by the ends of the band',
        'US ' || {{ shown('rate.us_pct', 3) }} || ' %, Japan ' || {{ shown('rate.jp_pct', 3) }} || ' %'
    ) || ')' as value_text,
    'bp' as unit,
    case
        when rate.tenor = 'policy' then 'unchanged since ' || rate.last_change_date
        else {{ signed('rate.change_bp', 1) }} || ' bp on the reading before'
    end || coalesce(
        ', ' || {{ ordinal('round(rate.abs_change_pctile60 * 100)::int') }} || ' percentile of 60 moves by size', ''
    ) as unusual,
    case
        when rate.us_source_id = rate.jp_source_id then rate.us_source_id
        else rate.us_source_id || ' and ' || rate.jp_source_id
    end || ' (each leg by itself)' as who_says_it,
    rate.n_publishers,
    rate.n_lineages,
    rate.n_measurements,
    {{ grade_while_stale('rate.grade', 'coalesce(us.is_stale or jp.is_stale, false)') }} as grade,
    'final' as status,
    'dollars pay ' || {{ shown('rate.diff_bp * 0.01::decimal(3, 2)', 3) }}
    || ' points a year more than yen, before the exchange rate moves' as reading,
    case
        when rate.tenor = 'policy' then 'a decision of either bank, from its effective date'
        else 'the next day on which both markets print'
    end as would_change_it,
    least(us.next_due_at, jp.next_due_at) as next_due_at,
    'rate_gap ' || rate.tenor || ' ' || rate.event_date as why_figure,
    rate.known_from
from rate
left join {{ ref('brief_series') }} as us on us.series_id = 'YIELD.US.' || upper(rate.tenor)
left join {{ ref('brief_series') }} as jp on jp.series_id = 'YIELD.JP.' || upper(rate.tenor)

union all by name

select
    case decision.bank when 'BOJ' then 9 else 10 end as place,
    'Last decision of the ' || decision.bank || ', ' || decision.decision_date as headline,
    decision.decision_date as event_date,
    decision.rate_after_pct::decimal(38, 18) as value,
    {{ shown('decision.rate_after_pct', 3) }} || ' %, ' || case
        when decision.change_bp is null then 'the rate before it is not on record'
        when decision.change_bp = 0 then 'held'
        when decision.change_bp > 0 then 'raised by ' || {{ shown('decision.change_bp', 0) }} || ' bp'
        else 'cut by ' || {{ shown('-decision.change_bp', 0) }} || ' bp'
    end || coalesce(', vote ' || decision.votes_for || '-' || decision.votes_against, '') as value_text,
    'percent' as unit,
    coalesce(dissent.words, case when decision.votes_against = 0 then 'unanimous' end) as unusual,
    decision.source_id || ' (' || decision.evidence_kind || ' of ' || decision.lineage_root || ')' as who_says_it,
    decision.n_publishers,
    decision.n_lineages,
    decision.n_lineages as n_measurements,
    decision.grade,
    'final' as status,
    'in force from ' || coalesce(decision.effective_date, decision.decision_date) as reading,
    case
        when decision.needs_review is not null
            then 'a reader of the bank''s own statement: ' || decision.needs_review
        when decision.needs_primary then 'the bank''s own statement, which is not landed'
        else 'a correction by the bank'
    end as would_change_it,
    null::timestamptz as next_due_at,
    'policy ' || decision.bank || ' ' || decision.decision_date as why_figure,
    decision.known_from
from {{ ref('fct_policy_decision') }} as decision
left join dissent on decision.meeting_id = dissent.meeting_id
where decision.bank in ('BOJ', 'FOMC')
qualify row_number() over (partition by decision.bank order by decision.decision_date desc) = 1
