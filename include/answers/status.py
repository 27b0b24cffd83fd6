"""What is served and in what state, as text for a terminal: reads `ops` and `marts` of the served file only."""

from io import StringIO
from pathlib import Path

from include.answers.reader import connect, query, write

_OVERVIEW = """
select seq as version, published_at, cutoff_at, newest_known_from, n_labels as labels, n_holds as holds,
    left(marts_hash, 12) as marts, left(code_sha256, 12) as code
from ops.fct_publication order by seq desc limit 5
"""
_GATE = """
select rule_id, subject, check_name as rule, outcome, n_failed as failed, n_evaluated as evaluated, evidence
from ops.fct_gate_result
where run_id = (select run_id from ops.fct_publication order by seq desc limit 1)
    and outcome != 'pass'
order by rule_id, check_name, subject
"""
_HELD = """
select headline as feed, value_text as held, reading as why, would_change_it as release
from marts.mart_daily_brief where section = 'held' order by headline_no
"""
_GATE_COUNTS = """
select outcome, count(*) as checks, sum(n_evaluated) as evaluated, sum(n_failed) as failed from ops.fct_gate_result
where run_id = (select run_id from ops.fct_publication order by seq desc limit 1) group by 1 order by 1
"""
_SOURCES = """
with last as (
    select source_id, feed,
        arg_max(outcome, (seen_at, recorded_at)) as outcome,
        max(seen_at) as seen_at,
        arg_max(reason, (seen_at, recorded_at)) as reason,
        max(seen_at) filter (outcome in ('LANDED', 'UNCHANGED', 'EMPTY_OK')) as good_at
    from ops.fct_fetch_outcome group by all
), daily as (
    select source_id, feed, max(n) as requests_a_day
    from (
        select source_id, feed, seen_at::date as day, sum(greatest(http_attempts, 0)) as n
        from ops.fct_fetch_outcome group by all
    ) group by all
)
select last.source_id as source, last.feed, last.outcome, last.seen_at, last.good_at as last_good_at, last.reason,
    daily.requests_a_day, source.verified, source.licence, source.credit
from last
inner join marts.dim_source as source on last.source_id = source.source_id
inner join daily on last.source_id = daily.source_id and last.feed = daily.feed
order by 1, 2
"""


def _table(warehouse: Path, sql: str) -> str:
    out = StringIO()
    with connect(warehouse) as con:
        write(query(con, sql), "table", out)
    return out.getvalue()


def overview(warehouse: Path) -> str:
    """The newest versions, then what the gate labelled or held in the served one."""
    return (
        "Versions\n" + _table(warehouse, _OVERVIEW) + "\nGate, served version\n"
        + _table(warehouse, _GATE_COUNTS) + _table(warehouse, _GATE) + "\nHeld\n" + _table(warehouse, _HELD)
    )  # fmt: skip


def gate_summary(warehouse: Path) -> str:
    """One line: how many checks passed, labelled and held in the served version."""
    with connect(warehouse) as con:
        found = query(con, _GATE_COUNTS).fetchall()
    return ", ".join(f"{n} {outcome}" for outcome, n, *_ in found)


def sources(warehouse: Path) -> str:
    """Every feed: last outcome and age, requests on its busiest day, terms and credit line."""
    return _table(warehouse, _SOURCES)
