{#- The ladder, no arithmetic: A an origin's own figure or two agreeing measurements, B two lineages on one measurement,
    C one lineage, D a report or proxy only, X lineages in conflict. -#}
{% macro grade(evidence_kind, agreement_status, n_lineages, n_measurements) -%}
    case
        when {{ agreement_status }} = 'conflict' then 'X'
        when {{ evidence_kind }} = 'report' then 'D'
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
