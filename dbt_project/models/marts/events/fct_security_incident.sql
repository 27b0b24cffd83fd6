-- incident: what was taken, what came back, what is open, in the coin that was taken. Every lineage keeps its own day
-- and amounts; the published one is of the best kind of evidence, then of most lineages, then the earliest. The others
-- stand in `told_otherwise`. Incidents are matched across lineages by curated ids, never by likeness.
with telling as (
    select
        *,
        coalesce({{ evidence_rank('evidence_kind') }}, 5) as told_rank
    from {{ ref('event_known') }}
    where kind in ('INCIDENT', 'INCIDENT_CLAIM')
),

claim as (
    select event_id, {{ attribute('incident_id') }} as incident_id, {{ attribute('same_as') }} as same_as
    from telling
    where kind = 'INCIDENT_CLAIM'
    group by event_id
),

told as (
    select
        telling.*,
        coalesce(claim.incident_id, alias.incident_id, telling.event_id) as incident_id,
        -- a row comes from where the coins are counted; an incident of which nobody counts them, from its list
        telling.value is null or telling.attribute not like '%_native' as is_other
    from telling
    left join claim on telling.event_id = claim.event_id
    left join claim as alias on telling.event_id = alias.same_as
),

-- an attribute's answers, with who stands behind each
answer as (
    select
        incident_id,
        attribute,
        value,
        value_text,
        min(told_rank) as told_rank,
        count(distinct lineage_root) as n_tellers,
        min(known_from) as known_from,
        string_agg(distinct lineage_root, ' and ' order by lineage_root) as tellers
    from told
    group by incident_id, attribute, value, value_text
),

picked as (
    select *
    from answer
    qualify
        row_number() over (
            partition by incident_id, attribute order by told_rank, n_tellers desc, known_from, value, value_text
        ) = 1
),

figure as (
    select
        incident_id,
        {{ attribute('incident_name') }} as incident_name,
        {{ attribute('name') }} as listed_name,
        {{ attribute('native_asset') }} as native_asset,
        {{ attribute('technique') }} as technique,
        {{ attribute('chain') }} as chains,
        {{ attribute('loss_usd', 'value', 'decimal(24, 2)') }} as loss_usd,
        {{ attribute('returned_usd', 'value', 'decimal(24, 2)') }} as returned_usd,
        {{ attribute('stolen_native', 'value', 'decimal(38, 18)') }} as stolen_native,
        {{ attribute('intermediated_native', 'value', 'decimal(38, 18)') }} as intermediated_native,
        {{ attribute('returned_native', 'value', 'decimal(38, 18)') }} as returned_native,
        {{ attribute('bounty_native', 'value', 'decimal(38, 18)') }} as bounty_told_native,
        {{ attribute('outstanding_native', 'value', 'decimal(38, 18)') }} as outstanding_native,
        {{ attribute('returned_on', type='date') }} as returned_on,
        {{ attribute('tx_hash') }} as tx_hash,
        coalesce(max(told_rank) filter (value is not null), 5) as figure_rank
    from picked
    group by incident_id
),

otherwise as (
    select
        answer.incident_id,
        string_agg(
            answer.attribute || ' ' || {{ plain('answer.value') }} || ' ' || answer.tellers, '; '
            order by answer.attribute, answer.value
        ) as words
    from answer
    inner join picked on answer.incident_id = picked.incident_id and answer.attribute = picked.attribute
    where answer.value != picked.value
    group by answer.incident_id
),

day as (
    select
        incident_id,
        arg_max(event_date, (n_tellers, -told_rank, event_date)) as event_date,
        count(*) as n_days,
        string_agg(event_date || ' ' || tellers, '; ' order by n_tellers desc, event_date) as dates_told
    from (
        select
            incident_id,
            event_date,
            count(distinct lineage_root) as n_tellers,
            min(told_rank) as told_rank,
            string_agg(distinct lineage_root, ' and ' order by lineage_root) as tellers
        from told
        group by incident_id, event_date
    ) as named
    group by incident_id
),

provenance as (
    select
        incident_id,
        arg_min(event_at, (told_rank, known_from, event_id)) filter (event_at is not null) as occurred_at,
        count(distinct lineage_root)::int as n_publishers,
        (count(distinct lineage_root) filter (evidence_kind != 'report'))::int as n_lineages,
        count(distinct value) filter (attribute = 'loss_usd' and evidence_kind != 'report') as n_losses,
        max(known_from) as known_from,
        arg_min(source_id, (is_other, known_from, event_id, attribute, source_id)) as source_id,
        arg_min(vintage_kind, (is_other, known_from, event_id, attribute, source_id)) as vintage_kind,
        arg_min(payload_sha256, (is_other, known_from, event_id, attribute, source_id)) as payload_sha256,
        arg_min(locator, (is_other, known_from, event_id, attribute, source_id)) as locator,
        max(value_text) filter (attribute = 'url' and evidence_kind = 'report') as reported_url,
        max(value_text) filter (attribute = 'url') as any_url
    from told
    group by incident_id
),

proof as (
    {{ transfer_proof('returned_native') | indent(4) }}
),

measured as (
    select
        figure.*,
        provenance.* exclude (incident_id, known_from),
        greatest(provenance.known_from, proof.known_from) as known_from,
        -- other coins than the one that was taken prove nothing of it
        case when proof.asset = figure.native_asset then proof.proved_native end as returned_proved_native,
        figure.tx_hash is not null or proof.n_hosts is not null as has_hash,
        coalesce(provenance.occurred_at::date, day.event_date) as event_date,
        day.n_days,
        day.dates_told,
        -- whoever handed back less than was given to it has kept the rest as its bounty
        coalesce(
            figure.bounty_told_native, figure.intermediated_native - figure.returned_native
        ) as bounty_native
    from figure
    inner join provenance on figure.incident_id = provenance.incident_id
    inner join day on figure.incident_id = day.incident_id
    left join proof on figure.incident_id = proof.subject_id
)

select
    measured.incident_id,
    coalesce(measured.incident_name, measured.listed_name) as incident_name,
    measured.event_date,
    measured.occurred_at,
    case when measured.n_days > 1 then 'conflict' when measured.n_publishers > 1 then 'agree' else 'single_source' end
        as date_status,
    measured.dates_told,
    measured.native_asset,
    measured.stolen_native,
    measured.intermediated_native,
    measured.returned_native,
    measured.returned_proved_native,
    measured.bounty_native,
    measured.outstanding_native,
    {{ divide('measured.returned_native', 'measured.stolen_native') }} as recovery_ratio_native,
    {{ divide('measured.returned_native', 'measured.stolen_native - measured.bounty_native') }} as net_of_bounty,
    measured.loss_usd,
    measured.returned_usd,
    measured.returned_on,
    (measured.returned_on - measured.event_date)::int as days_to_return,
    measured.technique,
    measured.chains,
    otherwise.words as told_otherwise,
    count(*) over month::int as n_incidents_30d,
    {{ usd('sum(measured.loss_usd) over month') }} as loss_30d_usd,
    case
        when measured.returned_proved_native is not null then 'proved'
        when measured.has_hash then 'hash_attached'
        else 'claim'
    end as evidence_status,
    measured.source_id,
    measured.n_publishers,
    measured.n_lineages,
    case
        when measured.n_losses > 1 then 'X'
        when measured.figure_rank = 5 or measured.n_lineages = 0 then 'D' -- a figure that it needs is a report
        when measured.n_lineages > 1 then 'B'
        else 'C'
    end as grade,
    measured.known_from,
    measured.vintage_kind,
    measured.payload_sha256,
    measured.locator,
    coalesce(measured.reported_url, measured.any_url) as cited_url
from measured
left join otherwise on measured.incident_id = otherwise.incident_id
window month as (order by measured.event_date range between interval 29 day preceding and current row)
order by measured.event_date, measured.incident_id
