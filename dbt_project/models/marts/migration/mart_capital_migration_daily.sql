-- NYSE session: whether capital moves between compliant (K) and on-chain (O) channels, and when that may not be said.
-- The index is the difference of the sides' mean scores over its own scale; the label also asks for the dollars of both
-- sides over five sessions, so that everything falling is no migration. Opposite signs are co-movement, not a proof
-- that the same dollars moved.
with channel_session as (
    select
        day.session_date,
        channel.channel,
        channel.channel_set,
        flow.score,
        flow.cum5_usd,
        flow.grade,
        flow.scores_known_from,
        coalesce(flow.score is not null and flow.obs_status = 'final' and flow.grade in ('A', 'B', 'C'), false)
            as is_in,
        case
            when flow.channel is null then 'no record'
            when flow.grade not in ('A', 'B', 'C')
                then case when channel.is_estimate then 'an estimate, ' else '' end || 'grade ' || flow.grade
            else replace(flow.score_reason, '_', ' ')
        end as out_reason
    from (select distinct session_date from {{ ref('fct_channel_flow_daily') }}) as day
    inner join {{ ref('channel') }} as channel on channel.channel_set in ('K', 'O')
    left join {{ ref('fct_channel_flow_daily') }} as flow
        on day.session_date = flow.session_date and channel.channel = flow.channel
),

side as (
    select
        session_date,
        count(*)::int as n_channels,
        count(*) filter (channel_set = 'K')::int as n_declared_k,
        count(*) filter (is_in and channel_set = 'K')::int as n_channels_k,
        count(*) filter (is_in and channel_set = 'O')::int as n_channels_o,
        sum(score) filter (is_in and channel_set = 'K') as score_k,
        sum(score) filter (is_in and channel_set = 'O') as score_o,
        count(cum5_usd) filter (is_in)::int as n_sums,
        sum(cum5_usd) filter (is_in and channel_set = 'K') as cum5_k,
        sum(cum5_usd) filter (is_in and channel_set = 'O') as cum5_o,
        max(grade) filter (is_in) as worst_grade,
        string_agg(channel || ' (' || out_reason || ')', ', ' order by channel) filter (not is_in) as left_out,
        max(scores_known_from) as known_from
    from channel_session
    group by session_date
),

indexed as (
    select
        *,
        n_channels_k = n_declared_k and n_channels_o >= 2 as has_quorum,
        case
            when n_channels_k > 0 and n_channels_o > 0 then {{ ratio(
                '(score_o::double / n_channels_o - score_k::double / n_channels_k)'
                ~ ' / sqrt(1.0::double / n_channels_o + 1.0::double / n_channels_k)'
            ) }}
        end as migration_index
    from side
),

numbered as (
    select session_date, migration_index, row_number() over (order by session_date) as index_no
    from indexed
    where migration_index is not null
),

-- half-life of five sessions that have an index; what is more than 120 of them back weighs less than 2 ** -24
smoothed as (
    select
        weighted.session_date,
        {{ ratio(
            'sum(weighted.migration_index * weighted.weight order by weighted.index_no)'
            ~ ' / sum(weighted.weight order by weighted.index_no)'
        ) }} as ewma
    from (
        select
            today.session_date,
            past.index_no,
            past.migration_index,
            pow(0.5::double, (today.index_no - past.index_no) / 5.0::double) as weight
        from numbered as today
        inner join numbered as past on past.index_no between today.index_no - 120 and today.index_no
    ) as weighted
    group by weighted.session_date
),

run as (
    select
        indexed.*,
        smoothed.ewma,
        case when indexed.n_sums = indexed.n_channels_k + indexed.n_channels_o then indexed.cum5_k end as flow_k,
        case when indexed.n_sums = indexed.n_channels_k + indexed.n_channels_o then indexed.cum5_o end as flow_o,
        count(*) filter (indexed.has_quorum) over last3 = 3 as has_quorum_3,
        min(smoothed.ewma) over last3 as lowest3,
        max(smoothed.ewma) over last3 as highest3,
        max(indexed.known_from) over (order by indexed.session_date) as newest_known_from
    from indexed
    left join smoothed on indexed.session_date = smoothed.session_date
    window last3 as (order by indexed.session_date rows between 2 preceding and current row)
),

labelled as (
    select
        *,
        case
            when not has_quorum or flow_k is null or flow_o is null then 'INSUFFICIENT'
            when has_quorum_3 and lowest3 >= 1 and flow_k < 0 and flow_o > 0 then 'COMPLIANCE_TO_ONCHAIN'
            when has_quorum_3 and highest3 <= -1 and flow_k > 0 and flow_o < 0 then 'ONCHAIN_TO_COMPLIANCE'
            when flow_k < 0 and flow_o < 0 then 'BROAD_OUT'
            when flow_k > 0 and flow_o > 0 then 'BROAD_IN'
            else 'MIXED'
        end as label
    from run
),

contribution as (
    select
        channel_session.session_date,
        string_agg(
            channel_session.channel || ' ' || {{ signed('channel_session.pull', 2) }},
            ', ' order by abs(channel_session.pull) desc, channel_session.channel
        ) as top_contributors
    from (
        select
            channel_session.session_date,
            channel_session.channel,
            channel_session.score * case channel_session.channel_set
                when 'O' then {{ divide('1', 'side.n_channels_o') }} else -1 * {{ divide('1', 'side.n_channels_k') }}
            end as pull
        from channel_session
        inner join side on channel_session.session_date = side.session_date
        where channel_session.is_in
    ) as channel_session
    group by channel_session.session_date
)

select
    labelled.session_date,
    labelled.migration_index,
    labelled.ewma as migration_index_ewma,
    labelled.label,
    case
        when not labelled.has_quorum
            then labelled.n_channels_k || ' of ' || labelled.n_declared_k || ' compliant and '
                || labelled.n_channels_o || ' of at least 2 on-chain channels have a score and grade C or better;'
                || ' left out: ' || labelled.left_out
        when labelled.label = 'INSUFFICIENT' then 'a session of the last five of a channel in the index is not final'
        else 'smoothed index ' || {{ signed('labelled.ewma', 2) }} || ', five sessions of compliant channels '
            || {{ millions('labelled.flow_k') }} || ' USD and of on-chain channels '
            || {{ millions('labelled.flow_o') }} || ' USD'
    end as label_reason,
    -- all channels in the index have grade C or better; a channel that is not in it takes the row to C, a row without
    -- a quorum supports nothing
    case
        when not labelled.has_quorum then 'D'
        when labelled.n_channels_k + labelled.n_channels_o < labelled.n_channels then 'C'
        else labelled.worst_grade
    end as grade,
    labelled.n_channels_k,
    labelled.n_channels_o,
    {{ usd('labelled.flow_k') }} as flow_k_5d_usd,
    {{ usd('labelled.flow_o') }} as flow_o_5d_usd,
    'comovement' as link_kind,
    contribution.top_contributors,
    case
        when not labelled.has_quorum
            then 'a final session with 48 final ones among the 60 before it, of a measured figure of grade C or better:'
                || ' ' || labelled.left_out
        when labelled.label = 'INSUFFICIENT' then 'the missing sessions'
        else 'a smoothed index beyond 1 either way for three sessions with dollars of opposite signs on the two sides,'
            || ' or the end of them'
    end as would_change_it,
    labelled.newest_known_from as known_from
from labelled
left join contribution on labelled.session_date = contribution.session_date
order by labelled.session_date
