{#- One attribute of an event as a column, from the rows that `event_choice` picked. -#}
{% macro attribute(name, column='value_text', type='varchar') -%}
    max({{ column }}) filter (attribute = '{{ name }}')::{{ type }}
{%- endmacro %}

{#- Events of some kinds as attribute rows of one source each: the best-ranked source that names the event tells it as a
    whole, so that no event is half one source's and half another's. Counts of who else names it stand on every row. Kinds
    of rows `beside` come along with the teller's own, and make nobody a teller. The instant is the event's, whoever
    gives it: see `event_instant`. -#}
{% macro event_choice(kinds, beside=[]) -%}
    select
        known.* replace (
            coalesce(instant.event_at, known.event_at) as event_at,
            coalesce(instant.slack_s, known.slack_s) as slack_s,
            greatest(known.known_from, instant.known_from) as known_from
        ),
        counted.n_publishers,
        counted.n_lineages
    from {{ ref('event_known') }} as known
    inner join (
        select
            teller.event_id,
            arg_min(teller.source_id, (source.rank, teller.source_id)) as source_id,
            count(distinct teller.source_id)::int as n_publishers,
            (count(distinct teller.lineage_root) filter (teller.evidence_kind != 'report'))::int as n_lineages
        from {{ ref('event_known') }} as teller
        inner join {{ source('landing', 'source') }} as source on teller.source_id = source.source_id
        where teller.kind in ({{ listed(kinds) }})
        group by teller.event_id
    ) as counted
        on known.event_id = counted.event_id and known.source_id = counted.source_id
    left join (
        {{ event_instant() | indent(8) }}
    ) as instant on known.event_id = instant.event_id
    where known.kind in ({{ listed(kinds + beside) }})
{%- endmacro %}

{#- When an event happened, by the best-ranked source that gives an instant; its own words before a list of news. -#}
{% macro event_instant() -%}
    select
        told.event_id,
        arg_min(told.event_at, (source.rank, told.source_id, told.kind = 'RELEASE')) as event_at,
        arg_min(told.slack_s, (source.rank, told.source_id, told.kind = 'RELEASE')) as slack_s,
        arg_min(told.known_from, (source.rank, told.source_id, told.kind = 'RELEASE')) as known_from
    from {{ ref('event_known') }} as told
    inner join {{ source('landing', 'source') }} as source on told.source_id = source.source_id
    where told.event_at is not null
    group by told.event_id
{%- endmacro %}

{% macro listed(words) -%}
    {% for word in words %}'{{ word }}'{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{#- Where an event's row came from: the columns that every event mart carries, aggregated over its attribute rows. -#}
{% macro event_provenance() -%}
    any_value(source_id) as source_id,
    min(lineage_root) as lineage_root,
    min(evidence_kind) as evidence_kind,
    any_value(n_publishers) as n_publishers,
    any_value(n_lineages) as n_lineages,
    {{ grade('min(evidence_kind)', "'single_source'", 'any_value(n_lineages)', '1') }} as grade,
    max(known_from) as known_from,
    arg_max(vintage_kind, (known_from, attribute)) as vintage_kind,
    arg_max(payload_sha256, (known_from, attribute)) as payload_sha256,
    arg_max(locator, (known_from, attribute)) as locator,
    {{ attribute('url') }} as cited_url
{%- endmacro %}

{#- One step down the ladder while the figure is older than the newest reading that is due; D and X have no step left. -#}
{% macro grade_while_stale(grade, is_stale) -%}
    case
        when {{ is_stale }} and {{ grade }} in ('A', 'B', 'C') then chr(ascii({{ grade }}) + 1)
        else {{ grade }}
    end
{%- endmacro %}

{#- A figure as text for a reader: rounded half away from zero, with its sign, never a float's tail. -#}
{% macro shown(expression, digits) -%}
    (({{ expression }})::decimal(38, {{ digits }}))::varchar
{%- endmacro %}

{#- The same with an explicit plus. -#}
{% macro signed(expression, digits) -%}
    case when ({{ expression }}) > 0 then '+' else '' end || {{ shown(expression, digits) }}
{%- endmacro %}

{#- 1st, 2nd, 3rd, 4th, 11th. -#}
{% macro ordinal(number) -%}
    ({{ number }}) || case
        when ({{ number }}) % 100 between 11 and 13 then 'th'
        when ({{ number }}) % 10 = 1 then 'st'
        when ({{ number }}) % 10 = 2 then 'nd'
        when ({{ number }}) % 10 = 3 then 'rd'
        else 'th'
    end
{%- endmacro %}

{#- An exact figure without trailing zeros. -#}
{% macro plain(expression) -%}
    regexp_replace(({{ expression }})::varchar, '\.?0+$', '')
{%- endmacro %}

{#- `<source> <dollars>, ...` of the agreed ledger in millions, for a reader. -#}
{% macro others_in_millions(others) -%}
    array_to_string(
        list_transform(
            str_split({{ others }}, ', '),
            lambda other: split_part(other, ' ', 1) || ' ' || {{ millions("split_part(other, ' ', 2)::decimal(38, 6)") }}
        ),
        ', '
    )
{%- endmacro %}

{% macro millions(dollars) -%}
    {{ shown('(' ~ dollars ~ ') * 0.000001::decimal(7, 6)', 1) }} || ' m'
{%- endmacro %}

{#- Of a rate difference's two legs: the day's own where it has both, else the held ones. `pick` is least or greatest. -#}
{% macro of_both_legs(pick, column) -%}
    case
        when paired.is_own then {{ pick }}(paired.us.{{ column }}, paired.jp.{{ column }})
        when paired.us_known is not null and paired.jp_known is not null
            then {{ pick }}(paired.us_known.{{ column }}, paired.jp_known.{{ column }})
    end
{%- endmacro %}

{#- What transfers prove of incidents or payouts (`subject_id`): coins that two hosts of the chain at least tell alike,
    transfer by transfer, none of them otherwise. -#}
{% macro transfer_proof(proves) -%}
    select
        subject_id,
        min(asset) as asset,
        count(*)::int as n_hosts,
        case when count(*) >= 2 and count(distinct transfers) = 1 then min(amount) end as proved_native,
        max(known_from) as known_from
    from (
        select
            subject_id,
            source_id,
            case when count(distinct asset) = 1 then min(asset) end as asset,
            sum(amount) as amount,
            string_agg(told, ' ' order by told) as transfers,
            max(known_from) as known_from
        from (
            select
                source_id,
                {{ attribute('subject_id') }} as subject_id,
                {{ attribute('proves') }} as proves,
                {{ attribute('asset') }} as asset,
                {{ attribute('amount', 'value', 'decimal(38, 18)') }} as amount,
                string_agg(
                    coalesce(value_text, value::varchar), ' ' order by attribute
                ) filter (attribute not in ('subject_id', 'proves')) as told,
                max(known_from) as known_from
            from {{ ref('event_known') }}
            where kind = 'TRANSFER'
            group by source_id, event_id
        ) as transfer
        where proves = '{{ proves }}'
        group by subject_id, source_id
    ) as host
    group by subject_id
{%- endmacro %}
