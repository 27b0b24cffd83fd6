-- One row a series that has a version or is expected: unit, calendar, sign, tolerance, and when it is due.
-- Names and units of versions only, no value, so that it may read the versioned fact.
with named as (
    select series_id, min(unit) as unit, string_agg(distinct source_id, ', ' order by source_id) as source_ids
    from {{ ref('fct_observation') }}
    group by series_id
),

expected as (
    select
        expected.series_id,
        string_agg(distinct expected.source_id, ', ' order by expected.source_id) as expected_from,
        string_agg(distinct feed.release_rule, '; ' order by feed.release_rule) as release_rule
    from {{ source('landing', 'expected') }} as expected
    inner join {{ source('landing', 'feed') }} as feed
        on expected.source_id = feed.source_id and expected.feed = feed.feed
    group by expected.series_id
),

series as (
    select
        coalesce(named.series_id, expected.series_id) as series_id,
        named.unit,
        named.source_ids,
        expected.expected_from,
        expected.release_rule
    from named
    full join expected on named.series_id = expected.series_id
)

select
    series.series_id,
    split_part(series.series_id, '.', 1) as family,
    split_part(series.series_id, '.', 2) as subject,
    nullif(array_to_string(str_split(series.series_id, '.')[3:], '.'), '') as qualifier,
    coalesce(series.unit, family.unit) as unit,
    family.measure,
    family.calendar,
    family.sign,
    family.tolerance_abs,
    -- 1 % where the family declares neither tolerance
    coalesce(family.tolerance_rel, case when family.tolerance_abs is null then 0.01 end)::decimal(18, 8)
        as tolerance_rel,
    family.card,
    series.source_ids,
    series.expected_from,
    series.release_rule
from series
left join {{ ref('series_family') }} as family on split_part(series.series_id, '.', 1) = family.family
order by series.series_id
