-- One row a declared source: whose measurement it carries, its terms, and when its feeds are due.
with feed as (
    select
        source_id,
        count(*)::int as n_feeds,
        string_agg(distinct release_rule, '; ' order by release_rule) as release_rule,
        nullif(string_agg(distinct requires, '; ' order by requires) filter (requires != ''), '') as requires
    from {{ source('landing', 'feed') }}
    group by source_id
)

select
    source.source_id,
    source.title,
    source.lineage_root,
    source.evidence_kind,
    source.rank::int as rank,
    source.licence,
    source.credit,
    source.verified,
    source.base_url,
    feed.n_feeds,
    feed.release_rule,
    feed.requires
from {{ source('landing', 'source') }} as source
inner join feed on source.source_id = feed.source_id
order by source.source_id
