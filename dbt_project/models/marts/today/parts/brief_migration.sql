-- The first screen's lines on migration: the newest session's label with its reason, and how the channels share what
-- moved over twenty sessions.
with label as (
    select *
    from {{ ref('mart_capital_migration_daily') }}
    qualify row_number() over (order by session_date desc) = 1
),

input as (
    select
        session_date,
        string_agg(distinct input_source_ids, ', ' order by input_source_ids) as sources,
        min(n_lineages) as n_lineages,
        min(n_measurements) as n_measurements,
        string_agg(
            channel || ' ' || {{ shown('share_of_gross * 100', 0) }} || ' %', ', '
            order by share_of_gross desc, channel
        ) filter (share_of_gross is not null) as shares,
        max(n_channels_gross) as n_shared,
        max(share_of_gross) as largest_share,
        arg_max(channel, (share_of_gross, channel)) filter (share_of_gross is not null) as largest_channel,
        max(grade) filter (share_of_gross is not null) as worst_grade,
        max(scores_known_from) as known_from
    from {{ ref('fct_channel_flow_daily') }}
    group by session_date
),

shared as (
    select *
    from input
    where shares is not null and n_shared > 1
    qualify row_number() over (order by session_date desc) = 1
)

select
    50 as place,
    'Migration between compliant and on-chain channels, session of ' || label.session_date as headline,
    label.session_date as event_date,
    case when label.label != 'INSUFFICIENT' then label.migration_index_ewma::decimal(38, 18) end as value,
    lower(replace(label.label, '_', ' '))
    || coalesce(': smoothed index ' || {{ signed('label.migration_index_ewma', 2) }}, '') as value_text,
    null::varchar as unit,
    label.top_contributors as unusual,
    input.sources as who_says_it,
    input.n_lineages::int as n_publishers,
    input.n_lineages::int as n_lineages,
    input.n_measurements::int as n_measurements,
    case when label.label != 'INSUFFICIENT' then label.grade end as grade,
    case when label.label = 'INSUFFICIENT' then 'source_gap' else 'final' end as status,
    label.label_reason || '; co-movement, not a proof that the same dollars moved' as reading,
    label.would_change_it,
    null::timestamptz as next_due_at,
    case
        when label.label != 'INSUFFICIENT'
            then 'mart_capital_migration_daily.migration_index_ewma --key session_date=' || label.session_date
    end as why_figure,
    label.known_from
from label
inner join input on label.session_date = input.session_date

union all by name

select
    51 as place,
    'Shares of what moved over twenty sessions to ' || session_date as headline,
    session_date as event_date,
    largest_share::decimal(38, 18) as value,
    shares as value_text,
    'ratio' as unit,
    null::varchar as unusual,
    sources as who_says_it,
    n_lineages::int as n_publishers,
    n_lineages::int as n_lineages,
    n_measurements::int as n_measurements,
    worst_grade as grade,
    'final' as status,
    'by size, either way; a channel without twenty final sessions has no share' as reading,
    'a channel that is not measured here' as would_change_it,
    null::timestamptz as next_due_at,
    'fct_channel_flow_daily.share_of_gross --key channel=' || largest_channel || ',session_date=' || session_date
        as why_figure,
    known_from
from shared
where largest_share is not null
