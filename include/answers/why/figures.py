"""What a figure is called, which row it is, and the statement that makes it again from the rows beneath it.

A statement names its tables as `marts.<table>`; `Figure.slices` says which of their rows it reads, so that the same
statement runs over a warehouse and over the few rows of a bundle. Figures keep their one home in the marts: a
statement here is the proof that is shown, and every answer says whether it came to the published row.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import duckdb

from include.answers.reader import query
from include.core.errors import ConfigError

Con = duckdb.DuckDBPyConnection
CURRENT = "known_to is null and obs_status not in ('held', 'retracted')"
READABLE = f"{CURRENT} and value is not null"
USAGE = {
    "etf_flow": "ASSET [TICKER] DAY",
    "rate_gap": "TENOR DAY",
    "policy": "BANK DAY",
    "series": "SERIES_ID DAY [SOURCE]",
}
_HEADLINE = {
    "fct_etf_flow_agg_daily": "net_flow_usd",
    "fct_etf_flow_daily": "net_flow_usd",
    "fct_rate_differential_daily": "diff_bp",
    "fct_policy_decision": "rate_after_pct",
    "fct_policy_vote": "preferred_rate_pct",
    "fct_observation": "value",
    "fct_revision": "delta",
    "mart_coverage_calendar": "state",
    "mart_daily_brief": "value_text",
}


@dataclass(slots=True)
class Figure:
    """A published row, the column asked about, and how that column is made again.

    `inputs`: condition on `marts.fct_observation` for the versions that the figure needs; "" if there are none.
    `cells`: the same cells with every version of every source. `rows`: (table, condition) of other rows needed, whose
    provenance stands on them. `window`: (words, table, condition) of the published rows that a score looks back over.
    """

    schema: str
    table: str
    where: str
    column: str
    row: dict
    kinds: dict[str, str]
    name: str = ""
    inputs: str = ""
    cells: str = ""
    rows: list[tuple[str, str]] = field(default_factory=list)
    window: tuple[str, str, str] | None = None
    query: str = ""
    notes: list[str] = field(default_factory=list)
    slices: dict[str, str] = field(default_factory=dict)
    is_own_proof: bool = False  # nothing beneath makes it again: the statement reads the published cell itself

    def give(self, inputs: str, cells: str) -> None:
        """Set the versions that the figure needs; the statement may read every version of their cells."""
        self.inputs, self.cells = inputs, cells
        self.slices["fct_observation"] = cells


def literal(value: object) -> str:
    """A value as an SQL literal."""
    if value is None:
        return "null"
    return "'" + str(value).replace("'", "''") + "'"


def one_of(values: list) -> str:
    """`in ('a', 'b')`; a list of nothing holds for no row."""
    return f"in ({', '.join(map(literal, values)) or 'null'})"


def fetch(con: Con, sql: str) -> list[dict]:
    """Rows of a statement as dicts."""
    cursor = query(con, sql)
    names = [c[0] for c in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def tables(con: Con) -> dict[str, str]:
    """Schema by table, of everything that a reader may ask about."""
    found = fetch(con, "select schema_name, table_name from duckdb_tables() where schema_name in ('marts', 'ops') "
                       "order by all")  # fmt: skip
    return {r["table_name"]: r["schema_name"] for r in found}


def day(text: str) -> str:
    """An ISO date, or one line that says how to write it."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise _wrong(f"{text[:40]!r} is not a day", "write it as 2026-01-22") from None


def find(con: Con, words: list[str], key: list[str], column: str) -> Figure:
    """The figure that was named. `ConfigError` says in one line what there is."""
    head, _, rest = words[0].partition(".")
    name, dotted = (head, rest) if head in USAGE or head in tables(con) else (words[0], "")
    column = column or dotted
    if name in USAGE and not key:
        figure = _named(con, name, words[1:], column)
    else:
        table = name.split(".")[-1]
        there = tables(con)
        if table not in there or len(words) > 1:
            usage = ", ".join(f"{n} {u}" for n, u in USAGE.items())
            action = f"ask for {usage}, or TABLE --key COLUMN=VALUE,... with one of {', '.join(there)}"
            raise _wrong(f"no figure {' '.join(words)[:60]!r}", action)
        figure = _row(con, table, _condition(con, there[table], table, key), column)
        if figure.row.get("why_figure") and not column:  # a headline is the figure that it stands on, told in words
            return _headline(con, figure.row)
    figure.name = " ".join(words) + (f" --key {','.join(key)}" if key else "")
    PLANS.get(figure.table, _plan_any)(con, figure)
    if not figure.query:
        figure.is_own_proof = True
        figure.query = f"select {figure.column}\nfrom {figure.schema}.{figure.table}\nwhere {figure.where}"
    if f"marts.{figure.table}" in figure.query:
        figure.slices.setdefault(figure.table, figure.where)
    return figure


def _headline(con: Con, row: dict) -> Figure:
    """The mart's figure that a headline of the brief stands on, with what the headline makes of it as a note."""
    words, _, key = row["why_figure"].partition(" --key ")
    name, *rest = words.split()
    name, _, column = name.partition(".")
    figure = find(con, [name, *rest], [key] if key else [], column)
    figure.notes.insert(
        0, f"headline {row['headline_no']} of the brief: {row['headline']}: {row['value_text'] or 'no figure'}"
    )
    return figure


def _wrong(message: str, action: str, rule: str = "why.figure") -> ConfigError:
    return ConfigError(message, source="why", rule=rule, action=action)


def _condition(con: Con, schema: str, table: str, key: list[str]) -> str:
    """`--key` as a condition; of a table with versions the current one is meant unless the key says which."""
    pairs = [pair for text in key for pair in re.split(r",(?=\s*\w+=)", text)]
    asked = dict((name.strip(), value) for name, _, value in (pair.partition("=") for pair in pairs))
    has = {c["column_name"] for c in fetch(con, f"describe {schema}.{table}")}
    if not asked or not set(asked) <= has:
        wrong = ", ".join(sorted(set(asked) - has))[:60]
        raise _wrong(f"{table} has no column {wrong!r}" if asked else f"which row of {table}",
                     f"give --key COLUMN=VALUE,... with columns of {', '.join(sorted(has))}", "why.key")  # fmt: skip
    if "known_to" in has and not {"version_no", "known_to", "known_from"} & set(asked):
        asked["known_to"] = ""
    return " and ".join(f"{n} = {literal(v)}" if v else f"{n} is null" for n, v in asked.items())


def _row(con: Con, table: str, where: str, column: str, schema: str = "") -> Figure:
    """The one row that a condition names."""
    schema = schema or tables(con)[table]
    kinds = {c["column_name"]: c["column_type"] for c in fetch(con, f"describe {schema}.{table}")}
    if column and column not in kinds:
        raise _wrong(f"{table} has no column {column[:40]!r}", f"use one of {', '.join(kinds)}", "why.column")
    found = fetch(con, f"select * from {schema}.{table} where {where} limit 1000")
    if len(found) != 1:
        differ = ", ".join([n for n in kinds if len({str(r[n]) for r in found}) > 1][:6])
        action = f"name one more column: {differ}" if found else "correct the key"
        raise _wrong(f"{len(found) or 'no'} rows of {table} where {where}", action, "why.key")
    return Figure(schema, table, where, column or _HEADLINE.get(table, next(iter(kinds))), found[0], kinds)


def _named(con: Con, name: str, args: list[str], column: str) -> Figure:
    """A figure by its short name."""
    least, most = {"etf_flow": (2, 3), "series": (2, 3)}.get(name, (2, 2))
    if not least <= len(args) <= most:
        raise _wrong(f"{name} takes {USAGE[name]}", f"write `capmig why {name} {USAGE[name]}`")
    return _NAMES[name](con, [a.strip() for a in args], column)


def _etf_flow(con: Con, args: list[str], column: str) -> Figure:
    asset, on = args[0].upper(), day(args[-1])
    if len(args) == 2:
        return _row(con, "fct_etf_flow_agg_daily", f"asset = {literal(asset)} and session_date = {literal(on)}", column)
    return _row(con, "fct_etf_flow_daily",
                f"asset = {literal(asset)} and ticker = {literal(args[1].upper())} and session_date = {literal(on)} "
                f"and is_published_lineage and {CURRENT}", column)  # fmt: skip


def _rate_gap(con: Con, args: list[str], column: str) -> Figure:
    figure = _row(con, "fct_rate_differential_daily",
                  f"event_date = {literal(day(args[1]))} and tenor = {literal(args[0].lower())}", column)  # fmt: skip
    if not column and figure.row["diff_bp"] is None:  # a market was closed: what was known stands in its place
        figure.column = "diff_known_bp"
    return figure


def _policy(con: Con, args: list[str], column: str) -> Figure:
    where = f"bank = {literal(args[0].upper())} and decision_date = {literal(day(args[1]))}"
    return _row(con, "fct_policy_decision", where, column)


def _series(con: Con, args: list[str], column: str) -> Figure:
    """The published reading, or that of the source that is named; of several in a day the last."""
    cell = f"series_id = {literal(args[0].upper())} and event_date = {literal(day(args[1]))}"
    which = f"source_id = {literal(args[2].lower())}" if len(args) == 3 else "is_published"
    found = fetch(con, f"""select event_at, source_id from marts.fct_corroboration
        where {cell} and {which} order by event_at desc nulls last limit 1""")  # fmt: skip
    if not found:
        action = "look in marts.dim_series, or at the day in marts.mart_coverage_calendar"
        raise _wrong(f"no reading of {' '.join(args)[:80]!r} is known", action, "why.key")
    at, source = found[0]["event_at"], literal(found[0]["source_id"])
    where = f"{cell}{f' and event_at = {literal(at)}' if at else ''} and source_id = {source} and {CURRENT}"
    return _row(con, "fct_observation", where, column)


_NAMES: dict[str, Callable[[Con, list[str], str], Figure]] = {
    "etf_flow": _etf_flow, "rate_gap": _rate_gap, "policy": _policy, "series": _series,
}  # fmt: skip


# How each table's rows are made again.


def _plan_version(con: Con, figure: Figure) -> None:
    """A version of one cell: itself is the input."""
    row = figure.row
    series = row.get("series_id") or f"ETF_FLOW.{row['asset']}.{row['ticker']}"
    at = literal(row["event_at"]) if row.get("event_at") else ""
    cell = (f"series_id = {literal(series)} and event_date = {literal(row.get('event_date') or row['session_date'])}"
            + (f" and event_at = {at}" if at else ""))  # fmt: skip
    which = f"{cell} and source_id = {literal(row['source_id'])} and version_no = {row['version_no']}"
    figure.give(which, cell)
    shown = {"net_flow_usd": "value::decimal(24, 2) as net_flow_usd", "value": "value"}.get(figure.column)
    if shown:
        figure.query = f"select {shown}, obs_status\nfrom marts.fct_observation\nwhere {which}"
    elif figure.column in ("delta", "previous_value"):
        figure.query = (
            "select value, lag(value) over (order by version_no) as previous_value,\n"
            "    value - lag(value) over (order by version_no) as delta\n"
            f"from marts.fct_observation\nwhere {cell} and source_id = {literal(row['source_id'])}\n"
            f"    and obs_status != 'held' and version_no <= {row['version_no']}\norder by version_no desc limit 1"
        )


def _plan_fund(con: Con, figure: Figure) -> None:
    """One fund's flow; over its assets where that is asked."""
    _plan_version(con, figure)
    if figure.column != "pct_aum_bp":
        return
    row = figure.row
    assets = _assets(con, row["asset"], row["session_date"], [row["ticker"]])
    flow = figure.inputs
    figure.give(f"(({flow}) or ({assets}))", f"(({figure.cells}) or ({assets}))")
    figure.query = f"""select round((flow.value * 10000)::double / nullif(aum.value, 0)::double, 8)::decimal(18, 8) \
as pct_aum_bp
from (select max(value) as value from marts.fct_observation where {flow}) as flow
cross join (select max(value) as value from marts.fct_observation where {assets}) as aum"""


def _funds(con: Con, asset: str, on: date) -> list[str]:
    return [r["ticker"] for r in fetch(con, f"""select ticker from marts.dim_fund where asset = {literal(asset)}
        and listed_on <= {literal(on)} and (delisted_on > {literal(on)}) is not false order by 1""")]  # fmt: skip


def _assets(con: Con, asset: str, on: date, tickers: list[str]) -> str:
    """Condition for the funds' newest assets known before the session opened, ten sessions old at most."""
    (bounds,) = fetch(con, f"""select max(open_at) filter (session_date = {literal(on)}) as open_at,
        min(session_date) as oldest from (select * from marts.dim_market_session where calendar = 'NYSE'
        and session_date <= {literal(on)} order by session_date desc limit 11)""")  # fmt: skip
    series, opened = one_of([f"AUM.{asset}.{ticker}" for ticker in tickers]), literal(bounds["open_at"])
    known = (f"known_from < {opened} and (known_to is null or known_to >= {opened}) and value is not null "
             "and obs_status != 'held'")  # fmt: skip
    newest = fetch(con, f"""select series_id, max(event_date) as event_date from marts.fct_observation
        where series_id {series} and event_date >= {literal(bounds['oldest'])} and event_date < {literal(on)}
        and {known} group by 1 order by 1""")  # fmt: skip
    cells = [f"({literal(r['series_id'])}, date {literal(r['event_date'])})" for r in newest]
    return f"(series_id, event_date) in ({', '.join(cells) or '(null, null)'}) and {known}"


def _plan_session(con: Con, figure: Figure) -> None:
    """An asset's session: the sum of the funds of the published lineage, or its place in its own history."""
    row, plan = figure.row, _SCORES.get(figure.column)
    asset, on = row["asset"], row["session_date"]
    listed = _funds(con, asset, on)
    tickers = listed if row["n_funds_reported"] else ["TOTAL"]
    cells = f"series_id {one_of([f'ETF_FLOW.{asset}.{t}' for t in tickers])} and event_date = {literal(on)}"
    flows = f"{cells} and source_id = {literal(row['source_id'])} and {READABLE}"
    figure.give(flows, cells.replace("in (", f"in ({literal(f'ETF_FLOW.{asset}.TOTAL')}, ", 1))
    made = _SPREAD_OF_FUNDS if figure.column in ("breadth_out", "flow_hhi") else _SUM_OF_FUNDS
    figure.query = made.format(flows=flows, reported="count(*)::int" if tickers == listed else "0")
    told = {r["series_id"] for r in fetch(con, f"select series_id from marts.fct_observation where {flows}")}
    if missing := [ticker for ticker in listed if f"ETF_FLOW.{asset}.{ticker}" not in told]:
        figure.notes.append(f"no reading yet of {', '.join(missing)}")
    if figure.column in ("pct_aum_bp", "completeness_aum"):
        assets = _assets(con, asset, on, listed)
        reported = f"select replace(series_id, 'ETF_FLOW', 'AUM') from marts.fct_observation where {flows}"
        figure.query = _SHARES.format(flows=flows, assets=assets, n=len(listed), reported=reported)
        figure.give(f"(({flows}) or ({assets}))", f"(({figure.cells}) or ({assets}))")
    if plan:
        words, n, sql = plan
        past = f"asset = {literal(asset)} and session_date <= {literal(on)}"
        if n:
            past += f" and session_date >= {literal(_sessions_back(con, asset, on, n))}"
        prior = past.replace("session_date <= ", "session_date < ") if words.startswith("the") else past
        figure.window = (words, figure.table, prior)
        figure.slices[figure.table] = past
        figure.query = sql.format(past=past, prior=prior, today=figure.where)


def _sessions_back(con: Con, asset: str, on: date, n: int) -> date:
    return fetch(
        con,
        f"""select min(session_date) as d from (select session_date from marts.fct_etf_flow_agg_daily
        where asset = {literal(asset)} and session_date <= {literal(on)} order by 1 desc limit {n})""",
    )[0]["d"]


_SUM_OF_FUNDS = """select sum(value)::decimal(24, 2) as net_flow_usd, {reported} as n_funds_reported
from marts.fct_observation
where {flows}"""
_SPREAD_OF_FUNDS = """select {reported} as n_funds_reported,
    round((count(*) filter (value < 0))::double / nullif({reported}, 0)::double, 8)::decimal(18, 8) as breadth_out,
    case when {reported} > 0 and sum(abs(value)) > 0 then round(
        sum((abs(value)::double / 1e6) ** 2 order by value)
        / ((sum(abs(value))::decimal(38, 18)::double / 1e6) ** 2), 8)::decimal(18, 8) end as flow_hhi
from marts.fct_observation
where {flows}"""
_SHARES = """with flow as (
    select sum(value)::decimal(38, 18) as value from marts.fct_observation
    where {flows}
), fund as (
    select series_id, value, series_id in ({reported}) as has_reported
    from marts.fct_observation
    where {assets}
), aum as (
    select case when count(*) = {n} then sum(value) end as listed, sum(value) filter (has_reported) as reported
    from fund
)
select round((flow.value * 10000)::double / nullif(aum.listed, 0)::double, 8)::decimal(18, 8) as pct_aum_bp,
    round(aum.reported::double / nullif(aum.listed, 0)::double, 8)::decimal(18, 8) as completeness_aum
from flow cross join aum"""
_SUM = """select case when count(*) = {n} and count(*) filter (obs_status = 'final') = {n}
        then sum(net_flow_usd)::decimal(24, 2) end as cum{n}_usd,
    (count(*) filter (obs_status = 'final'))::int as n_final_{n}
from marts.fct_etf_flow_agg_daily
where {{past}}"""
_PRIOR = """with prior as (
    select net_flow_usd::decimal(38, 18) as flow
    from marts.fct_etf_flow_agg_daily
    where {prior} and obs_status = 'final'
), today as (
    select net_flow_usd::decimal(38, 18) as flow, obs_status
    from marts.fct_etf_flow_agg_daily
    where {today}
)
"""
_Z60 = (
    _PRIOR
    + """select case when any_value(today.obs_status) = 'final' and count(prior.flow) >= 48 and mad(prior.flow) > 0
    then round((any_value(today.flow) - median(prior.flow))::double / (1.4826 * mad(prior.flow)::double), 8)
    end::decimal(18, 8) as z60
from today left join prior on true"""
)
_PCTILE = (
    _PRIOR
    + """select case when any_value(today.flow) is not null
    then round((count(*) filter (abs(prior.flow) <= abs(today.flow)))::double / nullif(count(prior.flow), 0)::double, 8)
    end::decimal(18, 8) as abs_flow_pctile,
    count(prior.flow)::int as n_prior_sessions
from today left join prior on true"""
)
_STREAK = """with back as (
    select row_number() over (order by session_date desc) as no,
        case when obs_status = 'final' then sign(net_flow_usd)::int end as direction
    from marts.fct_etf_flow_agg_daily
    where {past}
), first as (
    select direction from back where no = 1
), ended as (
    select min(no) as no, arg_min(back.direction is null, no) as unknown
    from back cross join first where back.direction is distinct from first.direction
)
select case when first.direction = 0 then 0 when not coalesce(ended.unknown, false)
    then first.direction * (coalesce(ended.no, (select count(*) + 1 from back)) - 1) end::int as streak
from first cross join ended"""
_SCORES = {
    "cum5_usd": ("five sessions up to this one", 5, _SUM.format(n=5)),
    "cum20_usd": ("twenty sessions up to this one", 20, _SUM.format(n=20)),
    "z60": ("the 60 sessions before, of which the final ones count", 61, _Z60),
    "abs_flow_pctile": ("the sessions before since the first, of which the final ones count", 0, _PCTILE),
    "streak": ("every session up to this one, the newest ones decide", 0, _STREAK),
}
_SCORES |= {"n_final_5": _SCORES["cum5_usd"], "n_final_20": _SCORES["cum20_usd"],
            "n_prior_sessions": _SCORES["abs_flow_pctile"]}  # fmt: skip


def _plan_rate(con: Con, figure: Figure) -> None:
    """Two legs: points of the curves, or decisions in force; both dated the day, and both as known at 21:00 UTC."""
    row = figure.row
    if figure.column in ("change_bp", "abs_change_pctile60"):
        _plan_rate_move(con, figure)
    elif row["tenor"] == "policy":
        _plan_policy_gap(con, figure)
    else:
        legs = {
            name: f"series_id = 'YIELD.{side.upper()}.{row['tenor'].upper()}' and source_id = "
            f"{literal(row[f'{side}_source_id'])} and event_date = {literal(on)} and {CURRENT}"
            for side in ("us", "jp")
            for name, on in ((side, row["event_date"]), (f"{side}_known", row[f"{side}_known_date"]))
        }
        days = one_of([d for d in (row["event_date"], row["us_known_date"], row["jp_known_date"]) if d])
        series = one_of([f"YIELD.{side}.{row['tenor'].upper()}" for side in ("US", "JP")])
        needed = ["us_known", "jp_known"] if figure.column == "diff_known_bp" else ["us", "jp"]
        figure.give(" or ".join(f"({legs[n]})" for n in needed), f"series_id {series} and event_date {days}")
        figure.query = _LEGS.format(**{name: f"from marts.fct_observation where {leg}" for name, leg in legs.items()})


_LEGS = """with leg as (
    select (select max(value)::decimal(18, 8) {us}) as us_pct,
        (select max(value)::decimal(18, 8) {jp}) as jp_pct,
        (select max(value)::decimal(18, 8) {us_known}) as us_known_pct,
        (select max(value)::decimal(18, 8) {jp_known}) as jp_known_pct
)
select us_pct, jp_pct, ((us_pct - jp_pct)::decimal(18, 8) * 100)::decimal(18, 8) as diff_bp,
    ((us_known_pct - jp_known_pct)::decimal(18, 8) * 100)::decimal(18, 8) as diff_known_bp
from leg"""


def _plan_policy_gap(con: Con, figure: Figure) -> None:
    """The newest decision of each bank that is in force; a decision without an effective date is, when it is taken."""
    row, in_force = figure.row, "coalesce(effective_date, decision_date)"
    until = f"bank in ('FOMC', 'BOJ') and {in_force} <= {literal(row['event_date'])}"
    days = {bank: fetch(con, f"select max({in_force}) as d from marts.fct_policy_decision where {until} "
                             f"and bank = '{bank}'")[0]["d"] for bank in ("FOMC", "BOJ")}  # fmt: skip
    known = {"FOMC": row["us_known_date"], "BOJ": row["jp_known_date"]}
    for bank, on in (known if figure.column == "diff_known_bp" else days).items():
        figure.rows.append(("fct_policy_decision", f"bank = '{bank}' and {in_force} = {literal(on)}"))
    figure.slices["fct_policy_decision"] = until
    at = literal(f"{row['event_date']} 21:00:00+00")
    overnight = f"event_date = {literal(row['event_date'])} and {CURRENT} and series_id"
    if figure.column == "diff_effective_bp":
        figure.rows.clear()
        figure.inputs = f"{overnight} in ('RATE.US.EFFR', 'RATE.JP.CALL')"
        figure.cells = f"event_date = {literal(row['event_date'])} and series_id in ('RATE.US.EFFR', 'RATE.JP.CALL')"
    figure.slices["fct_observation"] = f"{overnight} in ('RATE.US.EFFR', 'RATE.JP.CALL')"
    figure.query = _POLICY_GAP.format(until=until, at=at, overnight=overnight, in_force=in_force)


_POLICY_GAP = """with decision as (
    select *, {in_force} as in_force
    from marts.fct_policy_decision
    where {until}
), leg as (
    select bank, arg_max(decision, in_force) as dated,
        arg_max(decision, in_force) filter (known_from <= timestamptz {at}) as known
    from decision group by bank
), pair as (
    select max(dated) filter (bank = 'FOMC') as us, max(dated) filter (bank = 'BOJ') as jp,
        max(known) filter (bank = 'FOMC') as us_known, max(known) filter (bank = 'BOJ') as jp_known
    from leg
)
select us.rate_after_pct as us_pct, jp.rate_after_pct as jp_pct,
    ((us.rate_after_pct - jp.rate_after_pct)::decimal(18, 8) * 100)::decimal(18, 8) as diff_bp,
    ((us.rate_after_lower_pct - jp.rate_after_pct)::decimal(18, 8) * 100)::decimal(18, 8) as diff_lower_bp,
    ((us.rate_after_upper_pct - jp.rate_after_pct)::decimal(18, 8) * 100)::decimal(18, 8) as diff_upper_bp,
    ((us_known.rate_after_pct - jp_known.rate_after_pct)::decimal(18, 8) * 100)::decimal(18, 8) as diff_known_bp,
    (((select max(value) from marts.fct_observation where {overnight} = 'RATE.US.EFFR')
        - (select max(value) from marts.fct_observation where {overnight} = 'RATE.JP.CALL'))::decimal(18, 8)
        * 100)::decimal(18, 8) as diff_effective_bp
from pair"""


def _plan_rate_move(con: Con, figure: Figure) -> None:
    row = figure.row
    past = f"tenor = {literal(row['tenor'])} and event_date <= {literal(row['event_date'])} and diff_bp is not null"
    (first,) = fetch(con, f"""select min(event_date) as d from (select event_date
        from marts.fct_rate_differential_daily where {past} order by 1 desc limit 62)""")  # fmt: skip
    past += f" and event_date >= {literal(first['d'] or row['event_date'])}"
    prior = past.replace("event_date <= ", "event_date < ")
    words = "the readings before, of which 60 moves and the one they start from count"
    figure.window = (words, figure.table, prior)
    figure.slices[figure.table] = f"({past}) or ({figure.where})"
    figure.query = f"""with move as (
    select event_date, tenor, diff_bp - lag(diff_bp) over (order by event_date) as change_bp,
        row_number() over (order by event_date desc) as no
    from marts.fct_rate_differential_daily
    where {past}
), today as (
    select change_bp from move where event_date = {literal(row["event_date"])}
)
select (select change_bp from today) as change_bp,
    case when any_value(tenor) != 'policy' and count(change_bp) >= 48 and (from today) is not null then round(
        (count(*) filter (abs(change_bp) <= abs((select change_bp from today))))::double
        / count(change_bp)::double, 8) end::decimal(18, 8) as abs_change_pctile60
from move where event_date < {literal(row["event_date"])} and no between 2 and 61"""


def _plan_decision(con: Con, figure: Figure) -> None:
    """A meeting: the statement's own figures, and the votes beneath the count."""
    votes = f"meeting_id = {literal(figure.row['meeting_id'])}"
    figure.rows = [(figure.table, figure.where)]
    figure.window = ("the votes", "fct_policy_vote", votes)
    figure.slices |= {figure.table: figure.where, "fct_policy_vote": votes}
    if figure.column not in (
        "rate_after_pct",
        "rate_before_pct",
        "change_bp",
        "n_members",
        "votes_for",
        "votes_against",
    ):
        return
    figure.query = f"""select
    coalesce(((rate_before_lower_pct + rate_before_upper_pct) * 0.5)::decimal(18, 8), rate_before_pct)
        as rate_before_pct,
    coalesce(((rate_after_lower_pct + rate_after_upper_pct) * 0.5)::decimal(18, 8), rate_after_pct) as rate_after_pct,
    ((rate_after_pct - rate_before_pct)::decimal(18, 8) * 100)::decimal(18, 8) as change_bp,
    votes_for, votes_against,
    (select nullif(count(*), 0)::int from marts.fct_policy_vote where {votes}) as n_members
from marts.fct_policy_decision
where {figure.where}"""


def _plan_coverage(con: Con, figure: Figure) -> None:
    row = figure.row
    cell = f"series_id = {literal(row['series_id'])} and event_date = {literal(row['event_date'])}"
    mine = f"{cell} and source_id = {literal(row['source_id'])}"
    figure.give(f"{mine} and known_to is null", cell)
    figure.query = ("select count(*) filter (known_to is null and value is not null) as n_readings,\n"
                    "    min(known_from) filter (value is not null) as known_from\n"
                    f"from marts.fct_observation\nwhere {mine}")  # fmt: skip


def _plan_profile(con: Con, figure: Figure) -> None:
    """How a source's totals came to be final: every version of the printed totals that the profile looks over."""
    row = figure.row
    seen = one_of(["archive", "first_seen", "publisher"])  # what was filled in late says nothing of timing
    figure.inputs = (f"series_id = {literal('ETF_FLOW.' + row['asset'] + '.TOTAL')} and vintage_kind {seen} and "
                     f"source_id = {literal(row['source_id'])} and value is not null and obs_status != 'held' "
                     f"and known_from <= {literal(row['known_from'])}")  # fmt: skip
    figure.notes.append(f"from {row['n_sessions']} sessions of which the first print was seen to arrive, among the "
                        "versions below")  # fmt: skip


def _plan_any(con: Con, figure: Figure) -> None:
    """A row of which nothing more is known: the version or the payload that it names itself."""
    row = figure.row
    if {"series_id", "source_id", "version_no"} <= row.keys() and (row.keys() & {"event_date", "session_date"}):
        _plan_version(con, figure)
    elif row.get("payload_sha256"):
        figure.rows = [(figure.table, figure.where)]


PLANS: dict[str, Callable[[Con, Figure], None]] = {
    "fct_observation": _plan_version, "fct_revision": _plan_version, "fct_etf_flow_daily": _plan_fund,
    "fct_etf_flow_agg_daily": _plan_session, "fct_rate_differential_daily": _plan_rate,
    "fct_policy_decision": _plan_decision, "mart_coverage_calendar": _plan_coverage,
    "mart_revision_profile": _plan_profile,
}  # fmt: skip
