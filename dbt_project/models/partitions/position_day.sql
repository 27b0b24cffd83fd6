-- venue x account x instrument x event_date: an account's open positions at its last state of the UTC day, with the
-- cross margin that they share. A position that was closed during the day is in none of that day's rows.
-- Computed a day at a time (materialization `day_partitions`), in SQL that DuckDB and Spark both read.
{{ config(materialized='day_partitions') }}

with reading as (
    select
        stg.*,
        case stg.vintage_kind
            when 'publisher' then stg.published_at
            when 'pseudo' then stg.claimed_known_at
            else stg.first_seen
        end as known_from
    from {{ ref('stg_position') }} as stg
    where stg.record_kind in ('position', 'account')
),

known as (
    select reading.*
    from reading
    cross join {{ ref('cutoff') }} as cutoff
    where reading.known_from <= cutoff.cutoff_at
),

last_state as (
    select
        venue,
        account,
        event_date,
        max(event_at) as event_at,
        count(distinct event_at) as n_states
    from known
    where record_kind = 'account'
    group by venue, account, event_date
),

-- a state that was taken in twice is one state
state as (
    select
        known.*,
        last_state.n_states,
        row_number() over (
            partition by known.venue, known.account, known.record_kind, known.instrument
            order by known.known_from asc nulls last, known.payload_sha256 asc nulls last, known.locator asc nulls last
        ) as place
    from known
    inner join last_state
        on known.venue = last_state.venue
        and known.account = last_state.account
        and known.event_date = last_state.event_date
        and known.event_at = last_state.event_at
)

select
    held.venue,
    held.account,
    held.instrument,
    held.event_date,
    held.event_at,
    held.side,
    held.margin_mode,
    held.qty,
    held.entry_price,
    held.notional_usd,
    held.margin_usd,
    held.equity_usd,
    held.leverage_setting,
    held.max_leverage,
    held.liq_price,
    shared.equity_usd as cross_equity_usd,
    shared.notional_usd as cross_notional_usd,
    shared.margin_usd as cross_maintenance_usd,
    cast(held.n_states as integer) as n_states,
    held.source_id,
    held.lineage_root,
    held.evidence_kind,
    held.vintage_kind,
    held.payload_sha256,
    held.locator,
    held.known_from
from state as held
inner join state as shared on held.venue = shared.venue and held.account = shared.account
where held.record_kind = 'position' and shared.record_kind = 'account' and held.place = 1 and shared.place = 1
order by held.venue, held.account, held.instrument
