-- channel x NYSE session: US dollars into a channel, + in, and how unusual they are in its own history. A channel that
-- never closes sums its UTC days since the session before, so that a Monday is compared with a Monday. A session that
-- lacks a part of its channel is `partial`, is shown, and enters no score.
with cutoff as (
    select cutoff_at from {{ ref('cutoff') }}
),

session as (
    select
        session.session_date,
        lag(session.session_date) over (order by session.session_date) as previous_session_date
    from {{ source('landing', 'market_session') }} as session
    inner join cutoff on session.close_at <= cutoff.cutoff_at
    where session.calendar = 'NYSE'
),

-- one row a part (a coin, a protocol) and UTC day of the channels that never close
day as (
    select
        'STABLE' as channel,
        asset as part,
        event_date,
        net_issuance_usd as flow_usd,
        source_id,
        n_lineages,
        n_measurements,
        grade,
        known_from
    from {{ ref('fct_stablecoin_supply_daily') }}
    where chain = 'all'

    union all by name

    -- of a protocol only: what a chain holds in dollars changes with prices, and is no flow
    select
        'ONCHAIN_YIELD' as channel,
        subject as part,
        event_date,
        net_deposit_usd as flow_usd,
        source_id,
        n_lineages,
        n_measurements,
        grade,
        known_from
    from {{ ref('fct_protocol_tvl_daily') }}
    where subject_kind = 'protocol'

    union all by name

    -- an estimate, of the venue that the seed names: venues that count in different ways are not added up. A venue is
    -- read as a whole, so it is the part: a coin that it no longer lists is not waited for
    select
        venue.channel,
        oi.venue as part,
        oi.event_date,
        sum(oi.capital_flow_usd) as flow_usd,
        sum(oi.notional_change_usd) as notional_change_usd,
        min(oi.source_id) as source_id,
        min(oi.n_lineages) as n_lineages,
        min(oi.n_measurements) as n_measurements,
        max(oi.grade) as grade,
        max(oi.capital_known_from) as known_from
    from {{ ref('fct_derivative_oi_daily') }} as oi
    inner join {{ ref('venue') }} as venue on oi.venue = venue.venue and venue.channel = 'DEX_PERP'
    where oi.notional_change_usd is not null
    group by venue.channel, oi.venue, oi.event_date
),

-- a part is expected on every day from its first flow on, of open interest from its first change
part as (
    select
        channel, part, min(event_date) filter (coalesce(flow_usd, notional_change_usd) is not null) as first_date
    from day
    group by channel, part
),

due as (
    select
        part.channel,
        session.session_date,
        sum(session.session_date - greatest(session.previous_session_date, part.first_date - 1))::int as n_due
    from part
    inner join session on session.session_date >= part.first_date
    group by part.channel, session.session_date
),

summed as (
    select
        day.channel,
        session.session_date,
        sum(day.flow_usd) as flow_usd,
        sum(day.notional_change_usd) as notional_change_usd,
        count(day.flow_usd)::int as n_summed,
        string_agg(distinct day.source_id, ', ' order by day.source_id) as input_source_ids,
        min(day.n_lineages)::int as n_lineages,
        min(day.n_measurements)::int as n_measurements,
        max(day.grade) as grade,
        max(day.known_from) as known_from
    from day
    asof inner join session on day.event_date <= session.session_date
    where coalesce(day.flow_usd, day.notional_change_usd) is not null
    group by day.channel, session.session_date
),

flow as (
    select
        'ETF_' || etf.asset as channel,
        etf.session_date,
        etf.net_flow_usd as flow_usd,
        etf.obs_status,
        1 as n_days_summed,
        etf.source_id as input_source_ids,
        etf.n_lineages,
        etf.n_measurements,
        etf.grade,
        etf.known_from
    from {{ ref('fct_etf_flow_agg_daily') }} as etf
    inner join session on etf.session_date = session.session_date

    union all by name

    select
        due.channel,
        due.session_date,
        summed.flow_usd,
        summed.notional_change_usd,
        case
            when coalesce(summed.n_summed, 0) = 0 then 'not_yet'
            when summed.n_summed < due.n_due then 'partial'
            else 'final'
        end as obs_status,
        (session.session_date - session.previous_session_date)::int as n_days_summed,
        summed.input_source_ids,
        summed.n_lineages,
        summed.n_measurements,
        summed.grade,
        summed.known_from
    from due
    inner join session on due.session_date = session.session_date
    left join summed on due.channel = summed.channel and due.session_date = summed.session_date
),

measured as (
    select
        channel.channel_set,
        channel.is_estimate,
        flow.* replace (
            -- a proxy is D at most, see the ladder
            case when channel.is_estimate and flow.grade < 'D' then 'D' else flow.grade end as grade
        ),
        case when flow.obs_status = 'final' then flow.flow_usd end as final_usd
    from flow
    inner join {{ ref('channel') }} as channel on flow.channel = channel.channel
),

windowed as (
    select
        *,
        count(final_usd) over prior60 as n_prior_final,
        median(final_usd) over prior60 as median60,
        mad(final_usd) over prior60 as mad60,
        max(known_from) over prior60 as prior_known_from,
        count(final_usd) over last20 as n_final_20,
        sum(abs(final_usd)) over last20 as gross20,
        count(final_usd) over last5 as n_final_5,
        sum(final_usd) over last5 as sum5
    from measured
    window
        prior60 as (partition by channel order by session_date rows between 60 preceding and 1 preceding),
        last20 as (partition by channel order by session_date rows between 19 preceding and current row),
        last5 as (partition by channel order by session_date rows between 4 preceding and current row)
),

whole as (
    select
        *,
        case when n_final_20 = 20 then gross20 end as gross_20d,
        case
            when obs_status != 'final' then 'not_final'
            when n_prior_final < 48 then 'short_history'
            when mad60 = 0 then 'no_dispersion'
        end as score_reason
    from windowed
)

select
    whole.channel,
    whole.channel_set,
    whole.session_date,
    whole.n_days_summed,
    {{ usd('whole.flow_usd') }} as flow_usd,
    {{ usd('whole.notional_change_usd') }} as notional_change_usd,
    case
        when whole.flow_usd is not null then null
        when whole.notional_change_usd is not null then 'no_effective_leverage'
        else 'no_reading'
    end as flow_reason,
    whole.obs_status,
    whole.is_estimate,
    {{ usd('case when whole.n_final_5 = 5 then whole.sum5 end') }} as cum5_usd,
    {{ usd('whole.gross_20d') }} as gross_20d_usd,
    {{ divide('whole.gross_20d', 'sum(whole.gross_20d) over same_session') }} as share_of_gross,
    count(whole.gross_20d) over same_session::int as n_channels_gross,
    case
        when whole.score_reason is null then {{ ratio(
            'greatest(-5, least(5, (whole.final_usd - whole.median60)::double / (1.4826 * whole.mad60::double)))'
        ) }}
    end as score,
    whole.score_reason,
    whole.n_prior_final::int as n_prior_final,
    whole.input_source_ids,
    whole.n_lineages,
    whole.n_measurements,
    whole.grade,
    whole.known_from,
    greatest(whole.known_from, whole.prior_known_from) as scores_known_from
from whole
window same_session as (partition by whole.session_date)
order by whole.channel, whole.session_date
