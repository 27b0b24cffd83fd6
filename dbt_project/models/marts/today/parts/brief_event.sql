-- The first screen's lines on rules and security: the newest state of a filing, the losses of thirty days, and the
-- newest return of what was taken.
with rule as (
    select *
    from {{ ref('fct_regulatory_event') }}
    where is_latest
    qualify row_number() over (order by event_date desc, rule_id) = 1
),

newest as (
    select *
    from {{ ref('fct_security_incident') }}
    qualify row_number() over (order by event_date desc, incident_id desc) = 1
),

returned as (
    select *
    from {{ ref('fct_security_incident') }}
    where recovery_ratio_native is not null
    qualify row_number() over (order by returned_on desc nulls last, incident_id) = 1
)

select
    40 as place,
    'Position limits of ' || coalesce(contract, 'options on crypto funds') || ', ' || event_date as headline,
    event_date,
    null::decimal(38, 18) as value,
    replace(rule_status, '_', ' ') || coalesce(
        ': limit of ' || {{ plain('limit_value') }} || ' contracts ' || limit_change, ''
    ) as value_text,
    null::varchar as unit,
    'state ' || status_no || ' of ' || rule_id || coalesce(', filed ' || filed_on, '') as unusual,
    source_id || ' (' || evidence_kind || ' of ' || lineage_root || ')' as who_says_it,
    n_publishers,
    n_lineages,
    n_lineages as n_measurements,
    grade,
    'final' as status,
    case
        when agreement_status = 'conflict' then 'another report dates the same effect differently'
        else 'in force from ' || coalesce(effective_on::varchar, 'a day that is not on record')
    end || case limit_status
        when 'agree' then '; the clearing house applies it'
        when 'conflict'
            then '; the clearing house applies another one'
                || coalesce(': ' || {{ plain('limit_applied') }} || ' shares, 100 a contract', '')
        else ''
    end as reading,
    case when needs_primary then 'the notice itself, which is not landed' else 'a later notice of the same filing' end
        as would_change_it,
    null::timestamptz as next_due_at,
    null::varchar as why_figure,
    known_from
from rule

union all by name

select
    45 as place,
    'Security incidents, thirty days to ' || event_date as headline,
    event_date,
    loss_30d_usd::decimal(38, 18) as value,
    {{ millions('loss_30d_usd') }} || ' USD lost in ' || n_incidents_30d || ' incidents on record' as value_text,
    'usd' as unit,
    'newest: ' || incident_name || coalesce(', ' || {{ millions('loss_usd') }} || ' USD', '') as unusual,
    source_id || ' (' || evidence_status || ')' as who_says_it,
    n_publishers,
    n_lineages,
    n_lineages as n_measurements,
    grade,
    'final' as status,
    'the list is of what was found and told, so it only grows' as reading,
    'an incident that is listed later, or a loss that is counted again' as would_change_it,
    null::timestamptz as next_due_at,
    'fct_security_incident.loss_30d_usd --key incident_id=' || incident_id as why_figure,
    known_from
from newest
where loss_30d_usd is not null

union all by name

select
    46 as place,
    'Returned to ' || incident_name || ', incident of ' || event_date as headline,
    event_date,
    recovery_ratio_native::decimal(38, 18) as value,
    {{ plain('returned_native') }} || ' of ' || {{ plain('stolen_native') }} || ' ' || native_asset || ', '
    || {{ shown('recovery_ratio_native', 3) }} as value_text,
    'ratio' as unit,
    coalesce({{ plain('outstanding_native') }} || ' ' || native_asset || ' outstanding', '')
    || coalesce('; ' || days_to_return || ' days to the return', '') as unusual,
    source_id || ' (' || evidence_status || ' of ' || n_publishers || ' tellers)' as who_says_it,
    n_publishers,
    n_lineages,
    n_lineages as n_measurements,
    grade,
    'final' as status,
    'told otherwise: ' || coalesce(told_otherwise, 'nothing') || '; days told: ' || dates_told as reading,
    case evidence_status when 'claim' then 'the hash of the transfer' else 'a further return' end as would_change_it,
    null::timestamptz as next_due_at,
    'fct_security_incident.recovery_ratio_native --key incident_id=' || incident_id as why_figure,
    known_from
from returned
