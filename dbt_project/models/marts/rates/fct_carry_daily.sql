-- event_date x tenor: what long dollars and short yen earn a year before the exchange rate moves, against how much it
-- moves. On days with a rate difference or an exchange rate (USD/JPY at noon in New York).
-- Realised volatility is that of RiskMetrics: squared log returns from reading to reading, the day's own among them,
-- weighted by 0.94 to the power of their age, over the newest 60; a year has 252 readings.
with fx as (
    select
        *,
        ln(value::double / (lag(value) over (order by event_date))::double) as log_return
    from {{ ref('observation_agreed') }}
    where series_id = 'FX.USDJPY.NOON_NY' and value is not null
),

windowed as (
    select
        *,
        list(log_return) filter (log_return is not null) over last60 as returns,
        max(grade) over last60 as window_grade, -- the worse of two letters is the later one
        max(known_from) over last60 as window_known_from
    from fx
    window last60 as (order by event_date rows between 59 preceding and current row)
),

weighed as (
    select
        *,
        len(returns)::int as n_fx_returns,
        list_sum(
            list_transform(range(len(returns)), lambda age: power(0.94, age) * power(returns[len(returns) - age], 2))
        ) * (1 - 0.94) / (1 - power(0.94, len(returns))) as variance
    from windowed
),

moved as (
    select
        *,
        case when n_fx_returns >= 48 then {{ ratio('100 * sqrt(252 * variance)') }} end as fx_realised_vol_pct
    from weighed
),

beside as (
    select
        event_date,
        max(value) filter (series_id = 'FX.USDJPY.ECB') as ecb_jpy_per_usd,
        max(value) filter (series_id = 'VOL.US.VIX') as vix_pct,
        max(value) filter (series_id = 'RATE.US.POLICY_MID') - max(value) filter (series_id = 'RATE.JP.POLICY')
            as policy_gap_pct,
        max(known_from) as known_from
    from {{ ref('observation_agreed') }}
    where
        series_id in ('FX.USDJPY.ECB', 'VOL.US.VIX', 'RATE.US.POLICY_MID', 'RATE.JP.POLICY')
        and value is not null
    group by event_date
)

select
    rate.event_date,
    rate.tenor,
    (rate.diff_bp * 0.01::decimal(3, 2))::decimal(18, 8) as carry_pct,
    case when rate.tenor = 'policy' then beside.policy_gap_pct::decimal(18, 8) end as carry_transcribed_pct,
    moved.value::decimal(20, 8) as jpy_per_usd,
    {{ ratio('moved.log_return') }} as fx_log_return,
    coalesce(moved.n_fx_returns, 0) as n_fx_returns,
    moved.fx_realised_vol_pct,
    {{ divide('rate.diff_bp * 0.01::decimal(3, 2)', 'moved.fx_realised_vol_pct') }} as carry_to_vol,
    case
        when rate.diff_bp is null then 'market_closed'
        when moved.value is null then 'no_exchange_rate'
        when moved.fx_realised_vol_pct is null then 'short_history'
        when moved.fx_realised_vol_pct = 0 then 'no_dispersion'
    end as carry_to_vol_reason,
    {{ divide('beside.ecb_jpy_per_usd - moved.value', 'moved.value') }} as fx_gap_rel,
    beside.vix_pct::decimal(18, 8) as vix_pct,
    rate.us_source_id,
    rate.jp_source_id,
    moved.source_id as fx_source_id,
    least(rate.n_publishers, moved.n_publishers)::int as n_publishers,
    least(rate.n_lineages, moved.n_lineages)::int as n_lineages,
    least(rate.n_measurements, moved.n_measurements)::int as n_measurements,
    {{ worst_grade(['rate.grade', 'moved.window_grade']) }} as grade,
    greatest(rate.known_from, moved.window_known_from, beside.known_from) as known_from
from {{ ref('fct_rate_differential_daily') }} as rate
left join moved on rate.event_date = moved.event_date
left join beside on rate.event_date = beside.event_date
where rate.diff_bp is not null or moved.value is not null
order by rate.event_date, rate.tenor
