-- The first screen's lines beside the decisions: what was expected of each bank's last one, and statements that nobody
-- could read by machine and no row tells yet.
with last_decision as (
    select meeting_id, decision_date
    from {{ ref('fct_policy_decision') }}
    qualify row_number() over (partition by bank order by decision_date desc) = 1
),

expected as (
    select
        expected.bank,
        last_decision.decision_date,
        arg_max(expected.surprise_bp, (abs(expected.surprise_bp), expected.expectation_kind)) as surprise_bp,
        string_agg(
            {{ signed('expected.surprise_bp', 1) }} || ' bp against the '
            || replace(expected.expectation_kind, '_', ' ')
            || ' (' || expected.lineage_root || '), which expected ' || {{ signed('expected.expected_change_bp', 1) }},
            '; ' order by abs(expected.surprise_bp) desc, expected.expectation_kind
        ) as words,
        count(*) as n_kinds,
        count(*) filter (abs(expected.surprise_bp) > 5) as n_large,
        count(distinct sign(expected.surprise_bp)) as n_signs,
        string_agg(distinct expected.lineage_root, ', ' order by expected.lineage_root) as lineages,
        count(distinct expected.lineage_root)::int as n_publishers,
        max(expected.grade) as grade,
        max(expected.known_from) as known_from
    from {{ ref('fct_policy_expectation') }} as expected
    inner join last_decision on expected.meeting_id = last_decision.meeting_id
    where expected.surprise_bp is not null
    group by expected.bank, last_decision.decision_date
)

select
    case bank when 'BOJ' then 11 else 12 end as place,
    'Surprise of the ' || bank || ', ' || decision_date as headline,
    decision_date as event_date,
    surprise_bp::decimal(38, 18) as value,
    words as value_text,
    'bp' as unit,
    case
        when n_large >= 2 then 'a gap of expectations: over 5 bp by ' || n_large || ' kinds'
        else 'no gap of expectations: over 5 bp by ' || n_large || ' of ' || n_kinds || ' kinds'
    end || case when n_signs > 1 then ', and they differ in sign' else '' end as unusual,
    lineages || ' (reports of opinions and bets: a proxy)' as who_says_it,
    n_publishers,
    0 as n_lineages,
    0 as n_measurements,
    grade,
    'final' as status,
    case
        when surprise_bp = 0 then 'decided as expected'
        when surprise_bp < 0 then 'less of a rise, or more of a cut, than was expected'
        else 'more of a rise, or less of a cut, than was expected'
    end as reading,
    'prices of futures on the day, a measurement' as would_change_it,
    null::timestamptz as next_due_at,
    known_from
from expected

union all by name

select
    13 as place,
    'Statement of the ' || review.bank || ', ' || review.event_date as headline,
    review.event_date,
    'no figure' as value_text,
    review.source_id || ' (origin)' as who_says_it,
    'source_gap' as status,
    'needs a reader: ' || review.needs_review as reading,
    'a curated row with what ' || coalesce(review.url, 'the statement') || ' says' as would_change_it,
    review.known_from
from (
    select
        event_id,
        source_id,
        min(event_date) as event_date,
        {{ attribute('meeting_id') }} as meeting_id,
        {{ attribute('bank') }} as bank,
        {{ attribute('needs_review') }} as needs_review,
        {{ attribute('url') }} as url,
        max(known_from) as known_from
    from {{ ref('event_known') }}
    where kind = 'REVIEW'
    group by event_id, source_id
) as review
anti join {{ ref('fct_policy_decision') }} as decision on review.meeting_id = decision.meeting_id
