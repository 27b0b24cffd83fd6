-- meeting x member. Whoever votes for a decision prefers its rate; a dissenter's is the one that the statement names,
-- as a midpoint where the bank has a band. Both are in the convention of `rate_after_pct`.
with chosen as (
    {{ event_choice(['VOTE']) | indent(4) }}
),

vote as (
    select
        {{ attribute('meeting_id') }} as meeting_id,
        {{ attribute('member_id') }} as member_id,
        {{ attribute('member_name') }} as member_name,
        {{ attribute('vote') }} as vote,
        {{ attribute('preferred_rate_pct', 'value', 'decimal(18, 8)') }} as preferred_target_pct,
        {{ attribute('preferred_upper_pct', 'value', 'decimal(18, 8)') }} as preferred_upper_pct,
        {{ event_provenance() | indent(8) }}
    from chosen
    group by event_id
)

select
    vote.meeting_id,
    vote.member_id,
    coalesce(entity.official_name, vote.member_name) as official_name,
    vote.vote,
    coalesce(
        vote.preferred_target_pct,
        {{ ratio('vote.preferred_upper_pct - (meeting.rate_after_upper_pct - meeting.rate_after_lower_pct) * 0.5') }},
        case when vote.vote = 'for' then meeting.rate_after_pct end
    ) as preferred_rate_pct,
    vote.source_id,
    vote.lineage_root,
    vote.evidence_kind,
    vote.n_publishers,
    vote.n_lineages,
    vote.grade,
    greatest(vote.known_from, meeting.known_from) as known_from,
    vote.vintage_kind,
    vote.payload_sha256,
    vote.locator,
    vote.cited_url
from vote
inner join {{ source('landing', 'source') }} as source on vote.source_id = source.source_id
left join {{ ref('fct_policy_decision') }} as meeting on vote.meeting_id = meeting.meeting_id
left join {{ ref('dim_entity') }} as entity on vote.member_id = entity.entity_id
-- one source tells who voted, as one tells the decision
qualify rank() over (partition by vote.meeting_id order by source.rank, vote.source_id) = 1
order by vote.meeting_id, vote.member_id
