-- rule x state: what became of a filing, one row a notice of it. The days of publication, of filing and of effect are
-- three. A register carries no limit: it is taken from whoever states it for the same notice, beside the register's
-- own dates. What the clearing house applies stands beside the limit of each fund's last filing in effect: a filing
-- counts contracts and the clearing house shares, 100 a contract.
with chosen as (
    {{ event_choice(['RULE_STATUS']) | indent(4) }}
),

state as (
    select
        event_id,
        {{ attribute('rule_id') }} as rule_id,
        {{ attribute('title') }} as title,
        {{ attribute('rule_status') }} as rule_status,
        min(event_date) as event_date,
        {{ attribute('filed_on', type='date') }} as filed_on,
        {{ attribute('published_on', type='date') }} as published_on,
        {{ attribute('effective_on', type='date') }} as effective_on,
        {{ attribute('release_no') }} as release_no,
        {{ attribute('document_number') }} as document_number,
        {{ attribute('citation') }} as citation,
        {{ event_provenance() | indent(8) }}
    from chosen
    group by event_id
),

-- of several sources that state a limit for one notice, the newest statement
stated as (
    select
        event_id,
        arg_max(value_text, (known_from, source_id)) filter (attribute = 'contract') as contract,
        arg_max(value, (known_from, source_id)) filter (attribute = 'limit_contracts') as limit_value,
        arg_max(value_text, (known_from, source_id)) filter (attribute = 'limit_change') as limit_change,
        arg_max(value_text, (known_from, source_id)) filter (attribute = 'filed_on')::date as filed_on,
        arg_max(value_text, (known_from, source_id)) filter (attribute = 'effective_on')::date as effective_on,
        max(known_from) as known_from
    from {{ ref('event_known') }}
    where kind = 'RULE_STATUS'
        and attribute in ('contract', 'limit_contracts', 'limit_change', 'filed_on', 'effective_on')
    group by event_id
),

told as (
    select
        state.* exclude (filed_on, effective_on, known_from),
        coalesce(state.filed_on, stated.filed_on) as filed_on,
        coalesce(state.effective_on, stated.effective_on) as effective_on,
        stated.contract,
        stated.limit_value::decimal(38, 18) as limit_value,
        case when stated.limit_value is not null then 'contract' end as limit_unit,
        stated.limit_change,
        greatest(state.known_from, stated.known_from) as known_from,
        list_position(
            [
                'filed', 'noticed', 'extended', 'instituted', 'amended', 'immediately_effective', 'approved',
                'disapproved', 'withdrawn', 'effective'
            ], state.rule_status
        ) as state_order
    from state
    left join stated on state.event_id = stated.event_id
),

-- two notices of one state that name different days of effect contradict each other, and both stay
dated as (
    select rule_id, rule_status, count(distinct effective_on) as n_days
    from told
    group by rule_id, rule_status
),

applied as (
    select
        split_part(series_id, '.', 3) as fund,
        event_date,
        value,
        known_from
    from {{ ref('observation_agreed') }}
    where series_id like 'LIMIT.%' and value is not null
    qualify row_number() over (partition by series_id order by event_date desc) = 1
),

in_effect as (
    select
        told.event_id,
        applied.value as applied_shares,
        case told.limit_change
            when 'removed' then applied.value > told.limit_value::decimal(18, 0) * 100
            else applied.value = told.limit_value::decimal(18, 0) * 100
        end as is_met,
        applied.event_date as applied_on,
        applied.known_from
    from (
        select
            *,
            coalesce(effective_on, published_on, event_date) as in_effect_on,
            unnest(str_split(contract, ', ')) as fund
        from told
        where limit_value is not null and rule_status in ('immediately_effective', 'approved', 'effective')
    ) as told
    cross join {{ ref('cutoff') }} as cutoff
    left join applied on told.fund = applied.fund
    where told.in_effect_on <= coalesce(applied.event_date, cutoff.cutoff_at::date)
    qualify row_number() over (partition by told.fund order by told.in_effect_on desc, told.event_id) = 1
),

-- the authority's own page that a stated row cites, once its list has landed; nothing is read out of it
cited as (
    select
        url,
        min(doc_sha256) as doc_sha256,
        min(known_from) as known_from
    from {{ ref('fct_document') }}
    where document_kind = 'release'
    group by url
),

compared as (
    select
        event_id,
        -- a filing states one limit: two that are applied cannot both be it
        case when min(applied_shares) = max(applied_shares) then min(applied_shares) end as limit_applied,
        max(applied_on) as limit_applied_on,
        case
            when count(applied_shares) = 0 then 'not_observed'
            when bool_and(is_met) then 'agree'
            else 'conflict'
        end as limit_status,
        max(known_from) as known_from
    from in_effect
    group by event_id
)

select
    told.event_id,
    told.rule_id,
    told.title,
    told.rule_status,
    row_number() over by_state::int as status_no,
    row_number() over by_state = count(*) over (partition by told.rule_id) as is_latest,
    told.event_date,
    told.filed_on,
    told.published_on,
    told.effective_on,
    told.contract,
    told.limit_value,
    told.limit_unit,
    told.limit_change,
    compared.limit_applied::decimal(38, 18) as limit_applied,
    case when compared.limit_applied is not null then 'share' end as limit_applied_unit,
    compared.limit_applied_on,
    compared.limit_status,
    cited.doc_sha256 as cited_doc_sha256,
    told.release_no,
    told.document_number,
    told.citation,
    case
        when dated.n_days > 1 then 'conflict'
        when told.n_lineages > 1 then 'agree'
        else 'single_source'
    end as agreement_status,
    told.evidence_kind != 'origin' as needs_primary,
    told.source_id,
    told.lineage_root,
    told.evidence_kind,
    told.n_publishers,
    told.n_lineages,
    told.grade,
    greatest(told.known_from, compared.known_from, cited.known_from) as known_from,
    told.vintage_kind,
    told.payload_sha256,
    told.locator,
    told.cited_url
from told
inner join dated on told.rule_id = dated.rule_id and told.rule_status = dated.rule_status
left join compared on told.event_id = compared.event_id
left join cited on told.cited_url = cited.url
window
    by_state as (
        partition by told.rule_id
        order by told.event_date, told.state_order nulls first, told.event_id
    )
order by told.rule_id, status_no
