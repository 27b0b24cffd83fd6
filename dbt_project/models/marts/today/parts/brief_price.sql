-- The first screen's lines on prices: each asset's newest close.
select
    4 as place,
    asset || ' in dollars, end of ' || session_date as headline,
    session_date as event_date,
    close_usd::decimal(38, 18) as value,
    {{ shown('close_usd', 2) }} || ' USD' as value_text,
    'usd' as unit,
    coalesce(
        {{ signed(divide('(exp(log_return::double) - 1) * 100', '1'), 2) }} || ' % on the session before'
        || case when n_days > 1 then ', over ' || n_days || ' days' else '' end,
        'no session before'
    ) || coalesce(
        '; it moves ' || {{ shown('realised_vol * 100', 0) }} || ' % a year',
        '; volatility: ' || replace(realised_vol_reason, '_', ' ')
    ) as unusual,
    source_id || ', ' || replace(agreement_status, '_', ' ') as who_says_it,
    n_publishers,
    n_lineages,
    n_measurements,
    grade,
    'final' as status,
    'what a coin cost at 00:00 UTC after the session' as reading,
    'a correction by ' || source_id || ', or another venue that differs' as would_change_it,
    null::timestamptz as next_due_at,
    'fct_asset_return_daily.close_usd --key asset=' || asset || ',session_date=' || session_date as why_figure,
    known_from
from {{ ref('fct_asset_return_daily') }}
qualify row_number() over (partition by asset order by session_date desc) = 1
