{#-
The one way from runs to versions, for every shape (see the architecture's time contract).

  silence   the first page after a sighting, and before the cell's next one, that covers the cell and lacks it
  runs      consecutive equal sightings of a cell within a feed, across files; silence ends a run, though the same
            figure comes back
  dated     each run with the earliest instant at which it was provably public
  silent    cells that fell silent: retracted
  chained   feeds of a source interleaved by `known_from` and numbered (`place`); what is after the cut-off is dropped
            before `known_to`

`relation` holds staged rows, `cell` names a cell within a source, `content` what makes two runs of it equal. Nothing is
joined by a range over pages: a feed polled every half hour has 17,520 a year.
-#}
{% macro version_chain(relation, cell, content) %}
{%- set key = (['source_id'] + cell) | join(', ') -%}
{%- set feed_key = (['source_id', 'feed'] + cell) | join(', ') -%}
-- a feed's pages in order, and the dates of which each speaks; the pages of one fetch share a number
with page as (
    select
        source_id,
        feed,
        seen_at,
        payload_sha256,
        vintage_kind,
        case when restates = 'all' then '-infinity'::date else scope_from end as covers_from,
        case when restates = 'all' then 'infinity'::date else scope_to end as covers_to,
        dense_rank() over (partition by source_id, feed order by seen_at) as page_no
    from {{ source('landing', 'page') }}
    where restates != 'none'
),

-- neighbouring pages that speak of the same dates, as one
stretch as (
    select
        source_id,
        feed,
        covers_from,
        covers_to,
        min(page_no) as first_no,
        max(page_no) as last_no
    from (
        select
            source_id,
            feed,
            covers_from,
            covers_to,
            page_no,
            page_no - dense_rank() over (
                partition by source_id, feed, covers_from, covers_to order by page_no
            ) as place
        from page
    )
    group by source_id, feed, covers_from, covers_to, place
),

marked as (
    select
        *,
        lag(last_seen) over feed_cell as previous_seen,
        lead(first_seen) over feed_cell as next_sighting,
        last_value(last_seen) over (
            partition by {{ feed_key }} order by first_seen, payload_sha256, locator
            rows between unbounded preceding and unbounded following
        ) as closing_seen,
        lag(first_seen) over feed_cell is null
        {%- for c in content %}
            or (lag({{ c }}) over feed_cell is distinct from {{ c }})
        {%- endfor %} as is_change
    from {{ relation }}
    window feed_cell as (partition by {{ feed_key }} order by first_seen, payload_sha256, locator)
),

-- ends of sightings after which their feed was seen without them, with the first such page
gap as (
    select distinct
        marked.source_id,
        marked.feed,
        marked.event_date,
        marked.last_seen,
        marked.next_sighting,
        following.page_no
    from marked
    inner join (
        select
            sighted.*,
            page.seen_at,
            page.page_no
        from (select distinct source_id, feed, last_seen from marked) as sighted
        asof join page
            on sighted.source_id = page.source_id and sighted.feed = page.feed and sighted.last_seen < page.seen_at
    ) as following
        on marked.source_id = following.source_id and marked.feed = following.feed
        and marked.last_seen = following.last_seen
    where marked.next_sighting is null or following.seen_at < marked.next_sighting
),

silence as (
    select
        gap.source_id,
        gap.feed,
        gap.event_date,
        gap.last_seen,
        gap.next_sighting,
        page.seen_at as silent_from,
        min(page.payload_sha256) as silent_sha256,
        arg_min(page.vintage_kind, page.payload_sha256) as silent_vintage
    from (
        select
            gap.* exclude (page_no),
            min(greatest(gap.page_no, stretch.first_no)) as page_no
        from gap
        inner join stretch
            on gap.source_id = stretch.source_id and gap.feed = stretch.feed and gap.page_no <= stretch.last_no
            and gap.event_date between stretch.covers_from and stretch.covers_to
        group by all
    ) as gap
    inner join page
        on gap.source_id = page.source_id and gap.feed = page.feed and gap.page_no = page.page_no
        and gap.event_date between page.covers_from and page.covers_to
    where gap.next_sighting is null or page.seen_at < gap.next_sighting
    group by all
),

-- the sightings that open a run; where it ends stands on the one that opens the next
opening as (
    select *
    from marked
    where
        is_change
        or (source_id, feed, event_date, previous_seen, first_seen) in (
            select (source_id, feed, event_date, last_seen, next_sighting) from silence
        )
),

runs as (
    select
        * exclude (previous_seen, next_sighting, closing_seen, is_change) replace (
            coalesce(lead(previous_seen) over feed_cell, closing_seen) as last_seen
        ),
        lead(first_seen) over feed_cell as next_seen,
        first_seen = min(first_seen) over (partition by {{ key }}) as is_earliest
    from opening
    window feed_cell as (partition by {{ feed_key }} order by first_seen, payload_sha256, locator)
),

-- days of undated copies for which a dated page of the feed speaks
spoken as (
    select distinct
        undated.source_id,
        undated.feed,
        undated.event_date
    from (
        select distinct source_id, feed, event_date
        from runs
        where vintage_kind = 'pseudo' and is_earliest and claimed_known_at is not null
    ) as undated
    inner join (
        select distinct source_id, feed, scope_from, scope_to
        from {{ source('landing', 'page') }}
        where vintage_kind != 'pseudo'
    ) as dated_page
        on undated.source_id = dated_page.source_id and undated.feed = dated_page.feed
        and undated.event_date between dated_page.scope_from and dated_page.scope_to
),

dated as (
    select
        runs.*,
        feed.revises,
        feed.late_after_days,
        -- a declared lag dates the first version of a non-revising feed that was fetched late, or of an undated copy
        -- where no dated page of the feed speaks for that day
        is_earliest and claimed_known_at is not null and (
            (vintage_kind = 'pseudo' and first_seen > claimed_known_at and spoken.event_date is null)
            or (vintage_kind != 'pseudo' and first_seen > claimed_known_at + interval 1 day)
        ) as is_pseudo
    from runs
    inner join {{ source('landing', 'feed') }} as feed
        on runs.source_id = feed.source_id and runs.feed = feed.feed
    left join spoken
        on runs.source_id = spoken.source_id and runs.feed = spoken.feed and runs.event_date = spoken.event_date
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
            silence.silent_from as known_from,
            {%- for c in ['value', 'value_text'] if c in content %}
            null as {{ c }},
            {%- endfor %}
            'retracted' as obs_status,
            '' as value_raw,
            silence.silent_sha256 as payload_sha256,
            'absent from the page' as locator,
            silence.silent_vintage as vintage_kind
        )
    from known
    inner join silence
        on known.source_id = silence.source_id and known.feed = silence.feed
        and known.event_date = silence.event_date
        and known.last_seen = silence.last_seen and known.next_seen is not distinct from silence.next_sighting
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
        row_number() over chain as place,
        lag(cut.first_seen) over chain is null
        {%- for c in content %}
            or (lag(cut.{{ c }}) over chain is distinct from cut.{{ c }})
        {%- endfor %} as is_version
    from cut
    window chain as (
        partition by {{ key }} order by known_from, feed_rank, first_seen, payload_sha256, locator
    )
)

select
    compared.* exclude (
        is_version, is_earliest, is_pseudo, revises, late_after_days, next_seen, claimed_known_at
    )
from compared
where is_version
{% endmacro %}
