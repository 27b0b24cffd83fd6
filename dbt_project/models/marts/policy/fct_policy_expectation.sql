-- meeting x kind of expectation: what was expected of a meeting before it, from shares of outcomes that somebody
-- published, beside what was decided. E = sum(p * change) / sum(p), S = decided - E. Each reports opinions or bets: a
-- proxy.
with chosen as (
    {{ event_choice(['EXPECTATION']) | indent(4) }}
),

bucket as (
    select
        {{ attribute('meeting_id') }} as meeting_id,
        {{ attribute('bank') }} as bank,
        {{ attribute('expectation_kind') }} as expectation_kind,
        min(event_date) as expected_on,
        {{ attribute('change_pct', 'value', 'decimal(18, 8)') }} as change_pct,
        {{ attribute('probability_pct', 'value', 'decimal(18, 8)') }} as probability_pct,
        {{ event_provenance() | indent(8) }}
    from chosen
    group by event_id
),

expected as (
    select
        meeting_id,
        bank,
        expectation_kind,
        max(expected_on) as expected_on,
        {{ bp(divide('sum(probability_pct * change_pct)', 'sum(probability_pct)')) }} as expected_change_bp,
        count(*)::int as n_buckets,
        sum(probability_pct)::decimal(18, 8) as sum_p_pct,
        min(lineage_root) as lineage_root,
        min(source_id) as source_id,
        min(evidence_kind) as evidence_kind,
        min(n_publishers) as n_publishers,
        min(n_lineages) as n_lineages,
        max(grade) as grade, -- the worst of letters is the last
        max(known_from) as known_from,
        arg_max(vintage_kind, (known_from, payload_sha256)) as vintage_kind,
        arg_max(payload_sha256, (known_from, payload_sha256)) as payload_sha256,
        arg_max(locator, (known_from, payload_sha256, locator)) as locator,
        max(cited_url) as cited_url
    from bucket
    group by meeting_id, bank, expectation_kind
)

select
    expected.meeting_id,
    expected.bank,
    expected.expectation_kind,
    expected.expected_on,
    expected.expected_change_bp,
    expected.n_buckets,
    expected.sum_p_pct,
    decision.change_bp,
    decision.change_bp - expected.expected_change_bp as surprise_bp,
    expected.source_id,
    expected.lineage_root,
    expected.evidence_kind,
    expected.n_publishers,
    expected.n_lineages,
    expected.grade,
    greatest(expected.known_from, decision.known_from) as known_from,
    expected.vintage_kind,
    expected.payload_sha256,
    expected.locator,
    expected.cited_url
from expected
left join {{ ref('fct_policy_decision') }} as decision on expected.meeting_id = decision.meeting_id
order by expected.meeting_id, expected.expectation_kind
