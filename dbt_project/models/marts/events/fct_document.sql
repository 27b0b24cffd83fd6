-- document x source: what authorities released and what the press wrote, by title and address. A press report leads a
-- reader to something; no figure is taken from it, and it stands behind none.
{%- set subjects = {
    'BTC': '\\b(bitcoin|btc)\\b',
    'ETH': '\\b(ether|ethereum|eth)\\b',
    'SOL': '\\b(solana|sol)\\b',
    'fund': '\\b(etfs?|etps?|exchange-traded (products?|funds?))\\b',
    'crypto': '\\b(crypto\\w*|digital[ -]assets?|tokeni[sz]\\w+|blockchain|defi)\\b',
    'stablecoin': '\\bstablecoins?\\b',
    'derivative': '\\b(options?|futures|derivatives?|swaps?|perpetuals?|position limits?|margin)\\b',
    'policy': '\\b(monetary policy|policy rate|interest rates?|rate (hikes?|cuts?)|fomc|bank of japan|boj)\\b',
    'yen': '\\b(yen|carry trades?|jgbs?)\\b',
    'security': '\\b(hack\\w*|exploit\\w*|stolen|breach\\w*)\\b',
} %}
with listed as (
    select
        *,
        array_to_string([
            {%- for subject, words in subjects.items() %}
                case when regexp_matches(title, '{{ words }}', 'i') then '{{ subject }}' end{{ ',' if not loop.last }}
            {%- endfor %}
        ], ', ') as subjects
    from {{ ref('document_known') }}
)

select
    doc_sha256,
    source_id,
    case evidence_kind when 'report' then 'report' else 'release' end as document_kind,
    title,
    url,
    regexp_extract(url, '^https://([^/?:]+)', 1) as domain,
    author,
    lang,
    nullif(subjects, '') as subjects,
    event_date,
    event_at,
    case when evidence_kind != 'report' then event_at end as published_at,
    (count(*) over (partition by doc_sha256))::int as n_publishers,
    lineage_root,
    evidence_kind,
    {{ grade('evidence_kind', "'single_source'", '1', '1') }} as grade,
    known_from,
    vintage_kind,
    payload_sha256,
    locator
from listed
order by event_at desc, doc_sha256, source_id
