-- The first screen's lines on carry and on who holds futures: what has no figure yet has no line.
with carry as (
    select
        *,
        min(carry_to_vol) over prior60 as lowest60,
        max(carry_to_vol) over prior60 as highest60
    from {{ ref('fct_carry_daily') }}
    where tenor = 'policy' and carry_to_vol is not null
    window prior60 as (order by event_date rows between 60 preceding and 1 preceding)
    qualify row_number() over (order by event_date desc) = 1
),

positioning as (
    select *
    from {{ ref('fct_positioning_weekly') }}
    where trader_group = 'lev_money' and net_contracts is not null
    qualify row_number() over (partition by market order by event_date desc) = 1
)

select
    14 as place,
    'Carry to volatility, long dollars and short yen, ' || carry.event_date as headline,
    carry.event_date,
    carry.carry_to_vol::decimal(38, 18) as value,
    {{ shown('carry.carry_to_vol', 3) }} || ' (' || {{ shown('carry.carry_pct', 3) }}
    || ' % a year by policy rates over ' || {{ shown('carry.fx_realised_vol_pct', 2) }}
    || ' % realised volatility)' as value_text,
    'ratio' as unit,
    'the 60 before lay between ' || {{ shown('carry.lowest60', 3) }} || ' and ' || {{ shown('carry.highest60', 3) }}
    || coalesce('; VIX ' || {{ shown('carry.vix_pct', 2) }}, '') as unusual,
    array_to_string(list_sort(list_distinct([carry.us_source_id, carry.jp_source_id])), ' and ') || ' (rates), '
    || carry.fx_source_id || ' (exchange rate)'
    || coalesce('; BIS prints a gap of ' || {{ shown('carry.carry_transcribed_pct', 3) }} || ' %', '') as who_says_it,
    carry.n_publishers,
    carry.n_lineages,
    carry.n_measurements,
    {{ grade_while_stale('carry.grade', 'coalesce(stale.is_stale, false)') }} as grade,
    'final' as status,
    'a yen that gains about ' || {{ shown('carry.carry_pct', 2) }} || ' % within a year takes the carry away'
        as reading,
    'the exchange rate of the next day on which New York fixes one' as would_change_it,
    stale.next_due_at,
    'fct_carry_daily.carry_to_vol --key event_date=' || carry.event_date || ',tenor=policy' as why_figure,
    carry.known_from
from carry
left join {{ ref('brief_series') }} as stale on stale.series_id = 'FX.USDJPY.NOON_NY'

union all by name

select
    case positioning.market when 'JPY' then 15 when 'BTC' then 16 else 17 end as place,
    'Leveraged funds in ' || positioning.market || ' futures on the CME, ' || positioning.event_date as headline,
    positioning.event_date,
    positioning.net_contracts::decimal(38, 18) as value,
    {{ signed('positioning.net_contracts', 0) }} || ' contracts net (' || {{ signed('positioning.net_notional', 0) }}
    || ' ' || positioning.notional_unit
    || coalesce(', ' || {{ millions('positioning.net_notional_usd') }} || ' USD', '') || '), '
    || {{ signed('positioning.net_share_oi * 100', 1) }} || ' % of open interest' as value_text,
    'contract' as unit,
    {{ signed('positioning.net_change_contracts', 0) }} || ' on the report before; ' || coalesce(
        'z156 ' || {{ signed('positioning.z156', 2) }}, 'no z156: ' || replace(positioning.z156_reason, '_', ' ')
    ) as unusual,
    positioning.source_id || ' (origin)' as who_says_it,
    positioning.n_publishers,
    positioning.n_lineages,
    positioning.n_measurements,
    positioning.grade,
    'final' as status,
    'held on the day of the report, known from ' || strftime(positioning.known_from, '%Y-%m-%d %H:%MZ') as reading,
    'the report of the week after' as would_change_it,
    null::timestamptz as next_due_at,
    'fct_positioning_weekly.net_contracts --key market=' || positioning.market || ',trader_group=lev_money,event_date='
    || positioning.event_date as why_figure,
    positioning.scores_known_from as known_from
from positioning
