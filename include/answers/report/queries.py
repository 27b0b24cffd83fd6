"""The SQL behind each figure of the report, as a reader would run it with `capmig sql`. It reads `marts` and `ops`."""

HEADLINES = "select * from marts.mart_daily_brief where section = 'headline' order by headline_no"
HEADLINE = """\
select headline, value, value_text, unit, grade, status, unusual, who_says_it,
    n_measurements, n_lineages, n_publishers, reading, would_change_it, due_next, known_from
from marts.mart_daily_brief
where headline_no = {no}"""

OPEN = """\
select section, headline, value_text, reading, who_says_it, would_change_it, due_next
from marts.mart_daily_brief
where section != 'headline'
order by headline_no"""

# The newest sessions of each asset that has a figure, each with the one lineage that is published for it.
_SESSION = """\
session as (
    select asset, session_date, source_id, n_funds_reported, n_funds_listed, completeness_aum, grade,
        agreement_status, n_measurements, n_lineages, n_publishers, others
    from marts.fct_etf_flow_agg_daily
    where source_id is not null
    qualify row_number() over (partition by asset order by session_date desc) <= 10
), reading as (
    select session.asset, session.session_date, version.ticker, version.net_flow_usd, version.aum_prev_usd,
        version.known_from, version.known_to, version.vintage_kind
    from session
    inner join marts.fct_etf_flow_daily as version
        on session.asset = version.asset
        and session.session_date = version.session_date
        and session.source_id = version.source_id
        and version.net_flow_usd is not null
    left join marts.dim_fund as fund
        on version.asset = fund.asset
        and version.ticker = fund.ticker
        and version.session_date >= fund.listed_on
        and (fund.delisted_on is null or version.session_date < fund.delisted_on)
    where case when session.n_funds_reported > 0 then fund.ticker is not null else version.ticker = 'TOTAL' end
)"""

# Every instant at which one of those figures changed, and the decisions that fell between them.
INSTANTS = f"""\
with {_SESSION}, change as (
    select known_from as as_known_at from reading
    union select known_to from reading where known_to is not null
    union select session_date::timestamptz + interval 7 day from session where n_funds_reported < n_funds_listed
)
select as_known_at, string_agg(event_id, ', ' order by event_id) as decisions
from (
    select as_known_at, null as event_id from change
    union all
    select event_at, event_id from marts.dim_event
    where kind = 'DECISION'
        and event_at between (select min(as_known_at) from change) and (select max(as_known_at) from change)
    union all
    select max(cutoff_at), null from ops.fct_publication
)
where as_known_at <= (select max(cutoff_at) from ops.fct_publication)
group by as_known_at
order by as_known_at"""

# The rule of `final` is that of the mart: every listed fund, or a week later funds that hold 95 % of the assets.
KNOWN_AT = f"""\
with instant as (
    select unnest([{{instants}}]) as as_known_at
), {_SESSION}, weight as (
    select asset, session_date, sum(aum_prev_usd)::double as aum_usd
    from reading where known_to is null group by all
), known as (
    select session.*, instant.as_known_at,
        sum(reading.net_flow_usd) as net_flow_usd,
        count(reading.ticker) filter (reading.ticker != 'TOTAL') as n_known,
        max(reading.known_from) as known_from,
        max_by(reading.vintage_kind, reading.known_from) as vintage_kind,
        any_value(session.completeness_aum)::double * sum(reading.aum_prev_usd)::double
            / any_value(weight.aum_usd) as completeness
    from session
    cross join instant
    left join weight on session.asset = weight.asset and session.session_date = weight.session_date
    left join reading
        on session.asset = reading.asset
        and session.session_date = reading.session_date
        and reading.known_from <= instant.as_known_at
        and (reading.known_to is null or instant.as_known_at < reading.known_to)
    group by all
)
select asset, session_date, as_known_at, net_flow_usd,
    case
        when net_flow_usd is null then 'not_yet'
        when n_known = n_funds_listed then 'final'
        when n_known > 0 and completeness >= 0.95
            and as_known_at >= session_date::timestamptz + interval 7 day then 'final'
        else 'partial'
    end as obs_status,
    n_known as n_funds_reported, n_funds_listed, known_from, vintage_kind,
    grade as grade_today, source_id, n_measurements, n_lineages, n_publishers, agreement_status, others
from known
order by asset, session_date desc, as_known_at"""

FIRST_PRINT = """\
with print as (
    select subject as asset, event_date as session_date, version.source_id,
        min_by(value, known_from) as first_usd, min(known_from) as first_known_from,
        max_by(value, known_from) as newest_usd, max(known_from) as newest_known_from,
        count(*) - 1 as n_changes
    from marts.fct_observation as version
    inner join marts.dim_series as series on version.series_id = series.series_id
    where version.series_id like 'ETF_FLOW.%.TOTAL' and value is not null
        and obs_status in ('final', 'partial', 'reported_zero')
        and vintage_kind in ('archive', 'first_seen', 'publisher')
    group by subject, event_date, version.source_id
    qualify row_number() over (partition by subject, version.source_id order by event_date desc) <= 15
)
select print.asset, print.session_date, first_usd, first_known_from,
    (date_diff('second', session.close_at, first_known_from) / 3600)::decimal(9, 1) as hours_to_first,
    newest_usd, newest_known_from,
    (date_diff('second', session.close_at, newest_known_from) / 3600)::decimal(9, 1) as hours_to_newest,
    newest_usd - first_usd as change_usd, n_changes,
    sign(first_usd) * sign(newest_usd) < 0 as sign_flip,
    print.source_id, flow.grade, flow.n_measurements, flow.n_lineages, flow.n_publishers
from print
left join marts.dim_market_session as session
    on session.calendar = 'NYSE' and print.session_date = session.session_date
left join marts.fct_etf_flow_agg_daily as flow
    on print.asset = flow.asset and print.session_date = flow.session_date
order by print.asset, print.session_date desc, print.source_id"""

RATES = """\
select event_date, tenor, us_pct, jp_pct, diff_bp, diff_lower_bp, diff_upper_bp, change_bp, grade,
    us_source_id, jp_source_id, n_measurements, n_lineages, n_publishers, known_from
from marts.fct_rate_differential_daily
where diff_bp is not null
order by event_date desc, tenor"""

COVERAGE = """\
select series_id, source_id,
    count(*) filter (state = 'landed') as landed, count(*) filter (state = 'late') as late,
    count(*) filter (state = 'held') as held, count(*) filter (state = 'source_gap') as gap,
    count(*) filter (state = 'not_due') as not_due, max(event_date) filter (state = 'landed') as newest_landed,
    max_by(state_reason, event_date) filter (state in ('late', 'held', 'source_gap')) as reason
from marts.mart_coverage_calendar
group by series_id, source_id
order by series_id, source_id"""
COVERAGE_DAYS = """\
select series_id, source_id, event_date, state, state_reason, days_late, known_from
from marts.mart_coverage_calendar
order by series_id, source_id, event_date"""

GATE_COUNTS = """\
select outcome, count(*) as checks, sum(n_evaluated) as evaluated, sum(n_failed) as failed
from ops.fct_gate_result
where run_id = (select run_id from ops.fct_publication order by seq desc limit 1)
group by outcome
order by outcome"""
GATE = """\
select outcome, rule_id, check_name, subject, evidence, n_failed, n_evaluated, owner
from ops.fct_gate_result
where run_id = (select run_id from ops.fct_publication order by seq desc limit 1)
order by outcome = 'pass', rule_id, check_name, subject"""

CHANGES = """\
select seq, published_at, cutoff_at, newest_known_from,
    case
        when lag(marts_hash) over (order by seq) is null then 'first version'
        when marts_hash = lag(marts_hash) over (order by seq) then 'same figures'
        else 'figures changed'
    end as marts,
    code_sha256 is distinct from lag(code_sha256, 1, code_sha256) over (order by seq) as new_code,
    n_labels, n_holds, left(marts_hash, 12) as marts_hash, left(code_sha256, 12) as code
from ops.fct_publication
order by seq desc
limit 12"""

SOURCES = """\
select source_id, title, lineage_root, evidence_kind, verified, licence, credit, release_rule
from marts.dim_source
order by source_id"""

PROFILE = """\
select source_id, asset, hours_since_close, n_sessions, n_known, n_final, final_share, median_abs_error_usd,
    wrong_sign_share, median_first_print_error_usd, first_print_wrong_sign_share, median_hours_to_final,
    last_ticker, last_ticker_share, known_from
from marts.mart_revision_profile
order by source_id, asset, hours_since_close"""

MIGRATION = """\
select session_date, label, migration_index_ewma, migration_index, flow_k_5d_usd, flow_o_5d_usd, top_contributors,
    label_reason, would_change_it, link_kind, grade, known_from
from marts.mart_capital_migration_daily
order by session_date desc"""
CHANNELS = """\
select channel, channel_set, session_date, flow_usd, obs_status, cum5_usd, share_of_gross, score, score_reason,
    input_source_ids, grade, known_from
from marts.fct_channel_flow_daily
order by session_date desc, channel"""

INCIDENTS = """\
select event_date, incident_name, loss_usd, native_asset, stolen_native, returned_native, outstanding_native,
    recovery_ratio_native, told_otherwise, case when date_status = 'conflict' then dates_told end as dates_told,
    evidence_status, source_id, grade,
    n_lineages, n_publishers, known_from
from marts.fct_security_incident
order by event_date desc, incident_id"""
RULES = """\
select event_date, rule_id, rule_status, contract, filed_on, effective_on, limit_value, limit_change,
    limit_status, agreement_status, needs_primary, source_id, grade, n_lineages, n_publishers, known_from
from marts.fct_regulatory_event
order by event_date desc, rule_id, status_no desc"""
DOCUMENTS = """\
select event_at, document_kind, title, url, domain, subjects, source_id, grade, known_from
from marts.fct_document
where subjects is not null
qualify row_number() over (partition by document_kind order by event_at desc, doc_sha256, source_id) <= 8
order by document_kind, event_at desc, doc_sha256, source_id"""
