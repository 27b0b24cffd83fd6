-- asset x session: our total is the sum of the funds known in the published lineage, with its completeness beside it,
-- and how it stands in its own history. Scores use strictly prior sessions; sums and runs include the session.
with cutoff as (
    select cutoff_at from {{ ref('cutoff') }}
),

spine as (
    select
        asset,
        session_date,
        any_value(n_funds_listed) as n_funds_listed,
        any_value(session_aum_usd) as session_aum_usd,
        max(aum_known_from) as aum_known_from
    from {{ ref('etf_fund_aum') }}
    group by asset, session_date
),

-- one row a reading of the published lineage; a printed total stands only where there is no fund split
reading as (
    select
        lineage.asset,
        lineage.session_date,
        lineage.source_id,
        lineage.n_funds_reported,
        lineage.completeness_aum,
        known.value,
        known.known_from
    from {{ ref('etf_lineage') }} as lineage
    inner join {{ ref('observation_known') }} as known
        on known.series_id like 'ETF_FLOW.%'
        and known.source_id = lineage.source_id
        and known.event_date = lineage.session_date
        and split_part(known.series_id, '.', 2) = lineage.asset
        and known.value is not null
    left join {{ ref('etf_fund_aum') }} as fund
        on fund.asset = lineage.asset
        and fund.session_date = lineage.session_date
        and fund.ticker = split_part(known.series_id, '.', 3)
    where lineage.is_published
        and case
            when lineage.n_funds_reported > 0 then fund.ticker is not null
            else split_part(known.series_id, '.', 3) = 'TOTAL'
        end
),

session as (
    select
        asset,
        session_date,
        any_value(source_id) as source_id,
        any_value(n_funds_reported) as n_funds_reported,
        any_value(completeness_aum) as completeness_aum,
        sum(value)::decimal(38, 18) as flow,
        sum(abs(value))::decimal(38, 18) as gross,
        sum((abs(value)::double / 1e6) ** 2 order by value) as gross_squares,
        count(*) filter (value < 0) as n_out,
        max(known_from) as known_from
    from reading
    group by asset, session_date
),

settled as (
    select
        spine.asset,
        spine.session_date,
        spine.n_funds_listed,
        spine.session_aum_usd,
        spine.aum_known_from,
        session.* exclude (asset, session_date),
        case
            when session.flow is null then 'not_yet'
            when session.n_funds_reported = spine.n_funds_listed then 'final'
            when session.n_funds_reported > 0
                and cutoff.cutoff_at >= spine.session_date::timestamptz + interval 7 day
                and session.completeness_aum >= 0.95 then 'final'
            else 'partial'
        end as obs_status
    from spine
    cross join cutoff
    left join session on spine.asset = session.asset and spine.session_date = session.session_date
),

measured as (
    select
        *,
        obs_status = 'final' as is_final,
        case when obs_status = 'final' then flow end as final_flow,
        case when obs_status = 'final' then sign(flow)::int end as direction,
        row_number() over by_session as session_no
    from settled
    window by_session as (partition by asset order by session_date)
),

windowed as (
    select
        *,
        count(final_flow) over last5 as n_final_5,
        count(final_flow) over last20 as n_final_20,
        sum(final_flow) over last5 as sum5,
        sum(final_flow) over last20 as sum20,
        count(*) over last5 as n_5,
        count(*) over last20 as n_20,
        count(final_flow) over prior60 as n_final_60,
        median(final_flow) over prior60 as median60,
        mad(final_flow) over prior60 as mad60,
        count(final_flow) over prior as n_prior_sessions,
        -- where a run of the same direction was last broken, and by what
        max(session_no) filter (direction is distinct from 1) over prior as last_not_up,
        max(session_no) filter (direction is distinct from -1) over prior as last_not_down,
        max(session_no) filter (direction is null) over prior as last_not_final,
        max(known_from) over prior as prior_known_from
    from measured
    window
        last5 as (partition by asset order by session_date rows between 4 preceding and current row),
        last20 as (partition by asset order by session_date rows between 19 preceding and current row),
        prior60 as (partition by asset order by session_date rows between 60 preceding and 1 preceding),
        prior as (partition by asset order by session_date rows between unbounded preceding and 1 preceding)
),

ranked as (
    select
        today.asset,
        today.session_date,
        count(*) filter (abs(past.flow) <= abs(today.flow)) as n_smaller
    from measured as today
    inner join measured as past
        on today.asset = past.asset and past.session_date < today.session_date and past.is_final
    where today.flow is not null
    group by all
),

run as (
    select
        *,
        case when direction = 1 then coalesce(last_not_up, 0) when direction = -1 then coalesce(last_not_down, 0) end
            as broken_at
    from windowed
)

select
    run.asset,
    run.session_date,
    {{ usd('run.flow') }} as net_flow_usd,
    run.obs_status,
    coalesce(run.n_funds_reported, 0)::int as n_funds_reported, -- nothing known: no fund has reported
    run.n_funds_listed::int as n_funds_listed,
    (run.n_funds_listed - coalesce(run.n_funds_reported, 0))::int as n_funds_missing,
    run.completeness_aum,
    {{ divide('run.flow * 10000', 'run.session_aum_usd') }} as pct_aum_bp,
    {{ usd('case when run.n_final_5 = run.n_5 and run.n_5 = 5 then run.sum5 end') }} as cum5_usd,
    {{ usd('case when run.n_final_20 = run.n_20 and run.n_20 = 20 then run.sum20 end') }} as cum20_usd,
    run.n_final_5::int as n_final_5,
    run.n_final_20::int as n_final_20,
    case
        when not run.is_final or run.direction is null then null
        when run.direction = 0 then 0
        when run.last_not_final = run.broken_at and run.broken_at > 0 then null
        else run.direction * (run.session_no - run.broken_at)
    end::int as streak,
    {{ divide('run.n_out', 'case when run.n_funds_reported > 0 then run.n_funds_reported end') }} as breadth_out,
    case
        when run.n_funds_reported > 0 and run.gross > 0
            then {{ ratio('run.gross_squares / ((run.gross::double / 1e6) ** 2)') }}
    end as flow_hhi,
    case
        when run.is_final and run.n_final_60 >= 48 and run.mad60 > 0
            then {{ ratio('(run.flow - run.median60)::double / (1.4826 * run.mad60::double)') }}
    end as z60,
    case
        when run.is_final and run.n_final_60 >= 48 and run.mad60 = 0 then 'no_dispersion'
        when run.is_final and run.n_final_60 < 48 then 'short_history'
        when not run.is_final then 'not_final'
    end as z60_reason,
    {{ divide('ranked.n_smaller', 'run.n_prior_sessions') }} as abs_flow_pctile,
    run.n_prior_sessions::int as n_prior_sessions,
    run.source_id,
    -- without a printed total of any lineage, the published fund split stands alone
    {{ unless_alone('agreed.n_publishers', 1) }}::int as n_publishers,
    {{ unless_alone('agreed.n_lineages', 1) }}::int as n_lineages,
    {{ unless_alone('agreed.n_measurements', 1) }}::int as n_measurements,
    {{ unless_alone('agreed.spread_rel', 0) }}::decimal(18, 8) as spread_rel,
    {{ unless_alone('agreed.agreement_status', "'single_source'") }} as agreement_status,
    {{ unless_alone('agreed.grade', "'C'") }} as grade,
    agreed.others,
    run.known_from,
    greatest(run.known_from, run.prior_known_from, run.aum_known_from) as scores_known_from
from run
left join ranked on run.asset = ranked.asset and run.session_date = ranked.session_date
left join {{ ref('observation_agreed') }} as agreed
    on agreed.series_id = 'ETF_FLOW.' || run.asset || '.TOTAL' and agreed.event_date = run.session_date
order by run.asset, run.session_date
