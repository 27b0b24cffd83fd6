"""What is served and in what state, for a terminal, a monitor, a badge: reads `ops` and `marts` of the served file."""

import json
from html import escape
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
_LATE = """
select who_says_it as source, headline as feed, value_text as missing, reading as why
from marts.mart_daily_brief where section = 'late' order by headline_no
"""
_NEWEST = """
select seq as version, published_at, cutoff_at, newest_known_from,
    date_diff('second', newest_known_from, published_at) as newest_age_s, n_labels, n_holds, marts_hash, code_sha256
from ops.fct_publication order by seq desc limit 1
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


def sources(warehouse: Path, disabled: list[dict]) -> str:
    """Every feed: last outcome and age, requests on its busiest day, terms and credit line; then what is not asked."""
    lines = [f"{row['source']}: {row['why']}" for row in disabled]
    return _table(warehouse, _SOURCES) + ("\nNot asked\n" + "".join(f"{line}\n" for line in lines) if lines else "")


def late_feeds(warehouse: Path) -> list[dict]:
    """Feeds with figures that are due and did not come: source, feed (`source/feed`), what is missing, why."""
    return _rows(warehouse, _LATE)


def machine(warehouse: Path, canary: dict | None) -> bytes:
    """`status.json`: version, instants, gate counts, late feeds, the scheduler's canary. Ages are as of `published_at`.

    Bytes depend on the version and `canary` (or None: no scheduler ever beat here) alone. `state` is `ok`, `attention`
    (something is late or held) or `alarm` (the scheduler is silent).
    """
    (newest,) = _rows(warehouse, _NEWEST)
    late = late_feeds(warehouse)
    silent = bool(canary and canary["stale"])
    state = "alarm" if silent else "attention" if late or newest["n_holds"] else "ok"
    gate = {row["outcome"]: row["checks"] for row in _rows(warehouse, _GATE_COUNTS)}
    said = {"state": state} | newest | {"gate": gate, "late": late, "canary": canary}
    return (json.dumps(said, indent=1, default=str) + "\n").encode()


def badge(status: bytes) -> bytes:
    """`badge.svg` of a `status.json`: one line, readable without a font of our own, with a title for screen readers."""
    said = json.loads(status)
    late = len(said["late"])
    parts = [f"v{said['version']}", f"as known {said['cutoff_at'][:16]}Z", f"{said['n_labels']} labels",
             f"{said['n_holds']} held", f"{late} late"]  # fmt: skip
    text = " · ".join([*parts, *(["scheduler silent"] if said["state"] == "alarm" else [])])
    colour = {"ok": "#1a6b35", "attention": "#8a5300", "alarm": "#a3151c"}[said["state"]]  # 4.5:1 or more on white
    left, wide = 76, 16 + 6 * len(text)
    title = escape(f"Capital Migration Warehouse, {said['state']}: {text}")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide}" height="20" role="img" aria-labelledby="t">
<title id="t">{title}</title>
<rect width="{left}" height="20" fill="#444"/><rect x="{left}" width="{wide}" height="20" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{left // 2}" y="14" textLength="{left - 12}">warehouse</text>
<text x="{left + wide // 2}" y="14" textLength="{wide - 12}">{escape(text)}</text>
</g>
</svg>
""".encode()


def _rows(warehouse: Path, sql: str) -> list[dict]:
    out = StringIO()
    with connect(warehouse) as con:
        write(query(con, sql), "json", out)
    return json.loads(out.getvalue())
