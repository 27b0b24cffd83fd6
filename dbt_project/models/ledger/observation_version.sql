-- One row a version of a cell (series x period x source), with the instants between which it was the known one.
with placed as (
    -- a zero or an empty print on a closed day of the series' calendar is a holiday, not a reading
    select
        * exclude (is_holiday) replace (
            case when is_holiday then null else value end as value,
            case when is_holiday then 'holiday' else obs_status end as obs_status
        )
    from (
        select
            stg.*,
            family.family is not null and session.session_date is null and coalesce(stg.value, 0) = 0 as is_holiday
        from {{ ref('stg_observation') }} as stg
        left join {{ ref('series_family') }} as family
            on split_part(stg.series_id, '.', 1) = family.family and family.closed_day_is_holiday
        left join {{ source('landing', 'market_session') }} as session
            on family.calendar = session.calendar and stg.event_date = session.session_date
    )
),

landed as (
    {{ version_chain('placed', ['series_id', 'event_date', 'event_at'], ['value', 'unit', 'obs_status']) | indent(4) }}
),

versions as (
    select * from landed
    union all by name
    select * from {{ ref('observation_derived') }}
),

-- held versions leave the chain, so that the last good one stays; a released one re-enters it at its release
held as (
    select
        versions.*,
        hold.hold_id,
        hold.released_at
    from versions
    left join {{ ref('hold') }} as hold
        on versions.source_id = hold.source_id
        and versions.series_id = hold.series_id
        and versions.event_date = hold.event_date
        and versions.event_at is not distinct from hold.event_at
        and versions.value is not distinct from hold.value
        and versions.obs_status = hold.obs_status
),

lanes as (
    select * exclude (hold_id, released_at), hold_id is not null as is_held, released_at as held_until
    from held
    union all by name
    select
        * exclude (hold_id, released_at) replace (greatest(known_from, released_at) as known_from),
        false as is_held,
        null::timestamptz as held_until
    from held
    where released_at is not null
),

-- a version that is let through after a later one has become current stays behind it
standing as (
    select *
    from lanes
    qualify
        is_held
        or place = max(place) over (
            partition by source_id, series_id, event_date, event_at, is_held
            order by known_from, place
        )
),

-- a printed total is a running sum until the last fund has reported: before the next session closes
night as (
    select calendar, session_date, lead(close_at) over (partition by calendar order by session_date) as ends_at
    from {{ source('landing', 'market_session') }}
),

chained as (
    select
        *,
        row_number() over every_version as version_no,
        lag(value) over good as previous_value,
        lag(obs_status) over good as previous_status,
        lag(unit) over good as previous_unit,
        lag(lineage_root) over good as previous_lineage,
        case when is_held then held_until else lead(known_from) over good end as known_to
    from standing
    window
        every_version as (
            partition by source_id, series_id, event_date, event_at
            order by known_from, place, is_held desc
        ),
        good as (
            partition by source_id, series_id, event_date, event_at, is_held
            order by known_from, place
        )
)

select
    series_id,
    source_id,
    feed,
    lineage_root,
    evidence_kind,
    coalesce(measurement_root, lineage_root) as measurement_root,
    event_date,
    event_at,
    value,
    unit,
    case when is_held then 'held' else obs_status end as obs_status,
    version_no::int as version_no,
    case
        when previous_status is null or is_held then null
        -- what stood between was withheld, so that nothing changed
        when
            (value is not distinct from previous_value)
            and (unit is not distinct from previous_unit)
            and obs_status = previous_status
            then null
        when previous_lineage != lineage_root then 'method_change'
        when previous_value is null then 'first_print'
        when series_id like 'ETF_FLOW.%.TOTAL' and known_from < night.ends_at then 'completion'
        else 'correction'
    end as revision_kind,
    previous_value,
    published_at,
    known_from,
    known_to,
    vintage_kind,
    payload_sha256,
    locator,
    parser_version,
    value_raw
from chained
left join night on night.calendar = 'NYSE' and chained.event_date = night.session_date
order by series_id, event_date, event_at, source_id, version_no
