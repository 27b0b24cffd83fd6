{#- The ladder, no arithmetic: A an origin's own figure or two agreeing measurements, B two lineages on one measurement,
    C one lineage, D a report or proxy only (an origin that has no figure yet stands behind none), X lineages in conflict. -#}
{% macro grade(evidence_kind, agreement_status, n_lineages, n_measurements) -%}
    case
        when {{ agreement_status }} = 'conflict' then 'X'
        when {{ evidence_kind }} = 'report' or {{ n_lineages }} = 0 then 'D'
        when {{ evidence_kind }} = 'origin' or {{ n_measurements }} >= 2 then 'A'
        when {{ n_lineages }} >= 2 then 'B'
        else 'C'
    end
{%- endmacro %}

{#- The worst of several grades: D is worse than C, X is worst. -#}
{% macro worst_grade(grades) -%}
    greatest({{ grades | join(', ') }})
{%- endmacro %}

{#- What the printed totals agree on; without one of any lineage, the published fund split stands alone. -#}
{% macro unless_alone(column, fallback) -%}
    case when run.flow is not null and agreed.value is null then {{ fallback }} else {{ column }} end
{%- endmacro %}

{#- The order in which lineages are believed; a report has no place in it. -#}
{% macro evidence_rank(evidence_kind) -%}
    case {{ evidence_kind }}
        when 'origin' then 1 when 'measurement' then 2 when 'compilation' then 3 when 'transcription' then 4
    end
{%- endmacro %}

{#- Family and asset of a series: what lineages are compared over as a whole. -#}
{% macro subject_of(series_id) -%}
    array_to_string(str_split({{ series_id }}, '.')[:2], '.')
{%- endmacro %}

{#- Which lineages count as another one until a person says otherwise (G10): the best-ranked of those that they equal. -#}
{% macro counted_as() -%}
    select
        subject,
        lineage_b,
        arg_min(lineage_a, (rank_a, lineage_a)) as lineage_a,
        arg_min(measurement_root_a, (rank_a, lineage_a)) as measurement_root_a
    from {{ ref('lineage_copy') }}
    where is_counted_as_one
    group by subject, lineage_b
{%- endmacro %}
