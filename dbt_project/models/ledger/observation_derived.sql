-- Flows that an issuer's own figures imply: (shares of the session - shares of the session before) x net asset value of
-- the session, as versions of ETF_FLOW.<ASSET>.<TICKER> of the issuer's source. A flow changes at the instants at which
-- one of its three inputs does, and is what they were worth then; what was withheld or withdrawn then is no input.
-- Grain: source x series x session x instant.
with run as (
    select * from {{ ref('stg_observation') }}
    where split_part(series_id, '.', 1) in ('SHARES', 'NAV')
),

versions as (
    {{ version_chain('run', ['series_id', 'event_date', 'event_at'], ['value', 'unit', 'obs_status']) | indent(4) }}
),

-- a released version re-enters at its release, and stays behind one that has become current since
standing as (
    select versions.* replace (greatest(versions.known_from, hold.released_at) as known_from)
    from versions
    left join {{ ref('hold') }} as hold
        on versions.source_id = hold.source_id
        and versions.series_id = hold.series_id
        and versions.event_date = hold.event_date
        and versions.value is not distinct from hold.value
        and versions.obs_status = hold.obs_status
    where hold.hold_id is null or hold.released_at is not null
    qualify
        versions.place = max(versions.place) over (
            partition by versions.source_id, versions.series_id, versions.event_date
            order by greatest(versions.known_from, hold.released_at), versions.place
        )
),

spanned as (
    select
        *,
        split_part(series_id, '.', 1) as family,
        array_to_string(str_split(series_id, '.')[2:], '.') as fund,
        lead(known_from) over (
            partition by source_id, series_id, event_date order by known_from, place
        ) as known_to
    from standing
),

session as (
    select session_date, lag(session_date) over (order by session_date) as prev_session_date
    from {{ source('landing', 'market_session') }}
    where calendar = 'NYSE'
),

input as (
    select lower(spanned.family) as part, session.session_date, spanned.*
    from spanned
    inner join session on spanned.event_date = session.session_date
    union all by name
    select lower(spanned.family) || '_before' as part, session.session_date, spanned.*
    from spanned
    inner join session on spanned.event_date = session.prev_session_date
),

instant as (
    select distinct source_id, fund, session_date, known_from as changed_at
    from input
),

valued as (
    select
        instant.source_id,
        instant.fund,
        instant.session_date,
        instant.changed_at,
        max(input.value) filter (input.part = 'shares') as shares,
        max(input.value) filter (input.part = 'shares_before') as shares_before,
        max(input.value) filter (input.part = 'nav') as nav,
        max(input.value) filter (input.part = 'nav_before') as nav_before,
        -- the row is traced to the input that completed or changed it
        arg_max({
            'feed': input.feed, 'lineage_root': input.lineage_root, 'evidence_kind': input.evidence_kind,
            'measurement_root': input.measurement_root, 'published_at': input.published_at,
            'vintage_kind': input.vintage_kind, 'payload_sha256': input.payload_sha256,
            'parser_version': input.parser_version
        }, (input.known_from, input.part)) as newest
    from instant
    inner join input
        on instant.source_id = input.source_id
        and instant.fund = input.fund
        and instant.session_date = input.session_date
        and input.known_from <= instant.changed_at
        and (input.known_to is null or instant.changed_at < input.known_to)
    group by all
),

-- nothing before the first figure; then a version wherever the figure is another one. Shares that were combined or
-- split jump, and the net asset value with them: that is no flow
changed as (
    select
        *,
        case
            when
                2 * greatest(shares, shares_before) <= 3 * least(shares, shares_before)
                or 3 * nav between 2 * nav_before and 5 * nav_before
                then {{ product('shares - shares_before', 'nav') }}::decimal(38, 18)
        end as value
    from valued
    window so_far as (partition by source_id, fund, session_date order by changed_at)
    qualify count(value) over so_far > 0 and lag(value) over so_far is distinct from value
)

select
    source_id,
    'ETF_FLOW.' || fund as series_id,
    session_date as event_date,
    null::timestamptz as event_at,
    value,
    'usd' as unit,
    case when value is null then 'retracted' else 'final' end as obs_status,
    newest.feed,
    newest.lineage_root,
    newest.evidence_kind,
    newest.measurement_root,
    newest.published_at,
    changed_at as known_from,
    newest.vintage_kind,
    newest.payload_sha256,
    coalesce(
        'shares ' || {{ plain('shares') }} || ' - ' || {{ plain('shares_before') }} || ', nav ' || {{ plain('nav') }},
        'an input is absent'
    ) as locator,
    newest.parser_version,
    coalesce({{ plain('value') }}, '') as value_raw,
    row_number() over (partition by source_id, fund, session_date order by changed_at) as place
from changed
order by source_id, series_id, event_date, known_from
