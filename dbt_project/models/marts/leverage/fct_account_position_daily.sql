-- venue x account x instrument x event_date: positions at the account's last state of the day, with what stands behind
-- them. An isolated position has its own margin. A cross position shares the account's, in proportion to its notional,
-- so that parts add up and its effective leverage is the account's. The liquidation price is the venue's published
-- formula, p - side x margin available / size / (1 - l x side) with l = 1 / (2 x greatest leverage), the maintenance
-- margin's rate; margin available is what stands behind the position less the maintenance margin that it needs.
with priced as (
    select
        *,
        case side when 'long' then 1 else -1 end as sign,
        2 * max_leverage as inverse_rate,
        {{ proportion('notional_usd', '1', 'qty', 8) }} as mark_price_usd,
        case margin_mode
            when 'isolated' then equity_usd
            else {{ proportion('cross_equity_usd', 'notional_usd', 'cross_notional_usd', 8) }}
        end as equity_allocated,
        case margin_mode
            when 'isolated' then margin_usd - {{ proportion('notional_usd', '1', '2 * max_leverage', 8) }}
            else cross_equity_usd - cross_maintenance_usd
        end as margin_available
    from {{ ref('position_day') }}
),

-- over 1 - l x side, that is (1 / l) / (1 / l - side) times
liquidated as (
    select
        *,
        mark_price_usd - sign * {{ proportion(
            'margin_available', 'inverse_rate', product('qty', 'inverse_rate - sign'), 8
        ) }} as computed
    from priced
)

select
    venue,
    account,
    instrument,
    event_date,
    event_at as state_at,
    side,
    margin_mode,
    qty,
    entry_price::decimal(20, 8) as entry_price_usd,
    mark_price_usd::decimal(20, 8) as mark_price_usd,
    {{ usd('notional_usd') }} as notional_usd,
    {{ usd('equity_allocated') }} as equity_allocated_usd,
    leverage_setting::decimal(18, 8) as leverage_setting,
    case when equity_allocated > 0 then {{ divide('notional_usd', 'equity_allocated') }} end as leverage_effective,
    -- a price of zero or less is reached by no fall: the position cannot be liquidated by the market alone
    case when computed > 0 then computed::decimal(20, 8) end as liq_price_usd,
    liq_price::decimal(20, 8) as liq_price_reported_usd,
    case
        when computed > 0 then {{ divide('sign * (mark_price_usd - computed)', 'mark_price_usd') }}
    end as liq_distance,
    n_states,
    source_id,
    lineage_root,
    evidence_kind,
    1 as n_publishers,
    1 as n_lineages,
    1 as n_measurements,
    {{ grade('evidence_kind', "'single_source'", '1', '1') }} as grade,
    known_from,
    vintage_kind,
    payload_sha256,
    locator
from liquidated
order by venue, account, instrument, event_date
