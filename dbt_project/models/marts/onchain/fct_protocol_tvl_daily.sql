-- protocol or chain x day: value locked in dollars, and what was put in or taken out. The change of the dollars is no
-- flow, for it moves with prices: net deposits are the changes of the quantities at the prices of the day before. Where
-- the tokens are not known, or those without a price before are more than 1 % of the day's value, there are none.
with reading as (
    select
        split_part(series_id, '.', 1) as family,
        lower(split_part(series_id, '.', 2)) as subject,
        array_to_string(str_split(series_id, '.')[3:], '.') as token,
        observation_agreed.*
    from {{ ref('observation_agreed') }} as observation_agreed
    where split_part(series_id, '.', 1) in ('TVL', 'TOKEN', 'TOKEN_USD') and value is not null
),

token as (
    select
        amount.subject,
        amount.event_date,
        amount.token,
        amount.value as quantity,
        dollars.value as dollars,
        greatest(amount.known_from, dollars.known_from) as known_from,
        {{ worst_grade(['amount.grade', 'dollars.grade']) }} as grade
    from reading as amount
    inner join reading as dollars
        on amount.subject = dollars.subject
        and amount.token = dollars.token
        and amount.event_date = dollars.event_date
        and amount.source_id = dollars.source_id
        and dollars.family = 'TOKEN_USD'
    where amount.family = 'TOKEN'
),

-- a token that the page no longer names has no reading: it may have left or be missing, so its worth is unpriced
moved as (
    select
        coalesce(today.subject, before.subject) as subject,
        coalesce(today.event_date, before.event_date + 1) as event_date,
        coalesce(today.dollars, before.dollars) as dollars,
        -- the change of the quantity at the price of the day before, dollars over quantity
        {{ proportion('before.dollars', 'today.quantity - before.quantity', 'before.quantity') }} as moved_usd,
        before.known_from,
        before.grade
    from token as today
    full join token as before
        on today.subject = before.subject
        and today.token = before.token
        and today.event_date = before.event_date + 1
),

deposit as (
    select
        subject,
        event_date,
        sum(moved_usd) as net_deposit_usd,
        count(moved_usd) as n_priced,
        count(*) filter (moved_usd is null)::int as n_tokens_unpriced,
        coalesce(sum(dollars) filter (moved_usd is null), 0) as unpriced_usd,
        max(known_from) as known_from,
        max(grade) as grade
    from moved
    group by subject, event_date
),

-- a chain's value as it is told, a protocol's as the sum of its tokens
day as (
    select
        subject, 'chain' as subject_kind, event_date, {{ usd('value') }} as tvl_usd, null::int as n_tokens,
        obs_status, source_id, lineage_root, evidence_kind, n_publishers, n_lineages, n_measurements, grade,
        known_from, payload_sha256
    from reading
    where family = 'TVL'

    union all by name

    select
        subject, 'protocol' as subject_kind, event_date, {{ usd('sum(value)') }} as tvl_usd,
        count(*)::int as n_tokens, min(obs_status) as obs_status, min(source_id) as source_id,
        min(lineage_root) as lineage_root, min(evidence_kind) as evidence_kind, min(n_publishers) as n_publishers,
        min(n_lineages) as n_lineages, min(n_measurements) as n_measurements, max(grade) as grade,
        max(known_from) as known_from, arg_max(payload_sha256, (known_from, token)) as payload_sha256
    from reading
    where family = 'TOKEN_USD'
    group by subject, event_date
),

judged as (
    select
        day.*,
        deposit.net_deposit_usd,
        deposit.n_tokens_unpriced,
        deposit.known_from as before_known_from,
        deposit.grade as before_grade,
        case
            when day.subject_kind = 'chain' then 'no_quantities'
            when lag(day.event_date) over by_day is null then 'first_reading'
            when lag(day.event_date) over by_day != day.event_date - 1 then 'day_missing'
            when
                coalesce(deposit.n_priced, 0) = 0 or deposit.unpriced_usd > day.tvl_usd * 0.01
                then 'token_without_price'
        end as deposit_reason
    from day
    left join deposit
        on day.subject = deposit.subject and day.event_date = deposit.event_date and day.subject_kind = 'protocol'
    window by_day as (partition by day.subject_kind, day.subject order by day.event_date)
)

select
    subject,
    subject_kind,
    event_date,
    tvl_usd,
    n_tokens,
    n_tokens_unpriced,
    case when deposit_reason is null then {{ usd('net_deposit_usd') }} end as net_deposit_usd,
    deposit_reason,
    obs_status,
    source_id,
    lineage_root,
    evidence_kind,
    n_publishers,
    n_lineages,
    n_measurements,
    case when deposit_reason is null then {{ worst_grade(['grade', 'before_grade']) }} else grade end as grade,
    case when deposit_reason is null then greatest(known_from, before_known_from) else known_from end as known_from,
    payload_sha256
from judged
order by subject_kind, subject, event_date
