{#-
The one way from runs to versions, for every shape (see the architecture's time contract).

  runs      consecutive equal sightings of a cell within a feed, across files; a page between two sightings that covers
            the cell and lacks it ends the run, though the same figure comes back
  dated     each run with the earliest instant at which it was provably public
  silent    cells that a later page of their feed covers and no longer carries: retracted
  chained   feeds of a source interleaved by `known_from`; what is after the cut-off is dropped before `known_to`

`relation` holds staged rows, `cell` names a cell within a source, `content` what makes two runs of it equal.
-#}
{% macro version_chain(relation, cell, content) %}
{%- set key = (['source_id'] + cell) | join(', ') -%}
{%- set value = pack(content) -%}
-- a feed's pages in order, so that two sightings on neighbouring pages need no search between them
with page_order as (
    select source_id, feed, seen_at, row_number() over (partition by source_id, feed order by seen_at) as page_no
    from {{ source('landing', 'page') }}
    where restates != 'none'
    group by source_id, feed, seen_at
),

marked as (
    select
        sighting.*,
        sighting.first_seen as seen_from,
        lag(sighting.last_seen) over feed_cell as previous_seen,
        opens.page_no > lag(closes.page_no) over feed_cell + 1 as skips_pages,
        (lag({{ value }}) over feed_cell is distinct from {{ value }})
            or row_number() over feed_cell = 1 as is_change
    from {{ relation }} as sighting
    left join page_order as opens
        on sighting.source_id = opens.source_id and sighting.feed = opens.feed and sighting.first_seen = opens.seen_at
    left join page_order as closes
        on sighting.source_id = closes.source_id and sighting.feed = closes.feed and sighting.last_seen = closes.seen_at
    window feed_cell as (
        partition by sighting.source_id, sighting.feed, {% for c in cell %}sighting.{{ c }}{{ ", " if not loop.last }}{% endfor %}
        order by sighting.first_seen, sighting.payload_sha256, sighting.locator
    )
),

returned as (
    select distinct marked.source_id, marked.feed, {% for c in cell %}marked.{{ c }}, {% endfor %}marked.first_seen
    from marked
    inner join {{ source('landing', 'page') }} as page
        on marked.source_id = page.source_id and marked.feed = page.feed
        and page.seen_at > marked.previous_seen and page.seen_at < marked.first_seen
        and (page.restates = 'all' or marked.event_date between page.scope_from and page.scope_to)
    where marked.skips_pages and not marked.is_change and page.restates != 'none'
),

numbered as (
    select
        marked.* exclude (previous_seen, skips_pages) replace (
            marked.is_change or returned.first_seen is not null as is_change
        ),
        sum((marked.is_change or returned.first_seen is not null)::int) over (
            partition by marked.source_id, marked.feed, {% for c in cell %}marked.{{ c }}{{ ", " if not loop.last }}{% endfor %}
            order by marked.first_seen, marked.payload_sha256, marked.locator
        ) as run_no
    from marked
    left join returned
        on marked.source_id = returned.source_id and marked.feed = returned.feed
        and marked.first_seen = returned.first_seen
        {% for c in cell %}and marked.{{ c }} is not distinct from returned.{{ c }} {% endfor %}
),

-- narrow: the runs' spans first, provenance of their first sighting afterwards
spans as (
    select
        source_id, feed, {{ cell | join(', ') }}, run_no,
        max(last_seen) as run_last_seen
    from numbered
    group by all
),

runs as (
    select
        numbered.* exclude (last_seen, is_change, seen_from),
        spans.run_last_seen as last_seen,
        lead(numbered.first_seen) over (
            partition by numbered.source_id, numbered.feed, {% for c in cell %}numbered.{{ c }}{{ ", " if not loop.last }}{% endfor %}
            order by numbered.run_no
        ) as next_seen,
        numbered.first_seen = min(numbered.first_seen) over (
            partition by numbered.source_id, {% for c in cell %}numbered.{{ c }}{{ ", " if not loop.last }}{% endfor %}
        ) as is_earliest
    from numbered
    inner join spans
        on numbered.source_id = spans.source_id and numbered.feed = spans.feed and numbered.run_no = spans.run_no
        {% for c in cell %}and numbered.{{ c }} is not distinct from spans.{{ c }} {% endfor %}
    where numbered.is_change
),

dated as (
    select
        runs.*,
        feed.revises,
        feed.late_after_days,
        -- a declared lag dates the first version of a non-revising feed that was fetched late, or of an undated copy
        -- where no dated page of the feed speaks for that day
        is_earliest and claimed_known_at is not null and (
            (runs.vintage_kind = 'pseudo' and first_seen > claimed_known_at and not exists (
                select 1 from {{ source('landing', 'page') }} as page
                where page.source_id = runs.source_id and page.feed = runs.feed and page.vintage_kind != 'pseudo'
                    and runs.event_date between page.scope_from and page.scope_to
            ))
            or (runs.vintage_kind != 'pseudo' and first_seen > claimed_known_at + interval 1 day)
        ) as is_pseudo
    from runs
    inner join {{ source('landing', 'feed') }} as feed
        on runs.source_id = feed.source_id and runs.feed = feed.feed
),

known as (
    select
        dated.* exclude (vintage_kind),
        case
            when vintage_kind = 'publisher' then published_at
            when is_pseudo then claimed_known_at
            else first_seen
        end as known_from,
        case
            when vintage_kind = 'publisher' then 'publisher'
            when is_pseudo then 'pseudo'
            when is_earliest and revises and first_seen::date > event_date + late_after_days::int
                then 'backfill_unknown'
            when vintage_kind = 'pseudo' then 'first_seen'
            else vintage_kind
        end as vintage_kind
    from dated
),

-- a page that covers a cell and no longer carries it withdraws it, from the first such page on
silent as (
    select
        known.* replace (
            min(page.seen_at) as known_from,
            null as value,
            {%- if 'value_text' in content %}
            null as value_text,
            {%- endif %}
            'retracted' as obs_status,
            '' as value_raw,
            arg_min(page.payload_sha256, page.seen_at) as payload_sha256,
            'absent from the page' as locator,
            arg_min(page.vintage_kind, page.seen_at) as vintage_kind
        )
    from known
    inner join {{ source('landing', 'page') }} as page
        on known.source_id = page.source_id and known.feed = page.feed
        and page.restates != 'none'
        and page.seen_at > known.last_seen
        and (known.next_seen is null or page.seen_at < known.next_seen)
        and (page.restates = 'all' or known.event_date between page.scope_from and page.scope_to)
    group by all
),

knowable as (
    select * from known
    union all by name
    select * from silent
),

cut as (
    select knowable.* from knowable
    inner join {{ ref('cutoff') }} as cutoff on knowable.known_from <= cutoff.cutoff_at
),

compared as (
    select
        cut.*,
        (lag({{ value }}) over chain is distinct from {{ value }}) or row_number() over chain = 1 as is_version
    from cut
    window chain as (
        partition by {{ key }} order by known_from, feed_rank, first_seen, payload_sha256, locator
    )
)

select
    compared.* exclude (
        is_version, is_earliest, is_pseudo, revises, late_after_days, run_no, next_seen, claimed_known_at
    )
from compared
where is_version
{% endmacro %}

{% macro pack(columns) -%}
    struct_pack({% for c in columns %}{{ c }} := {{ c }}{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}
