"""What versions cost: `python -m tests.bench.ledger NAME DIRECTORY`. The bench times the whole process, but for the ledger's.

one       one table restated every half hour for three years, as landing leaves it (a file of runs a closed month), then
          the ledger over it, as a build makes it; prints CPU seconds and rows by model
three     the same with two more feeds: one of the same source, one of another that disagrees
versions  10M versions with stored `known_from` and `known_to`, and the current ones in a table of their own
current, interval, window    one aggregate over `versions`: of the current table, by the interval, by a window filter
plain, tested, as_of         the record's warehouse built without data tests, with them, and as of an instant
"""

import resource
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from include import pipeline
from include.core.errors import ContractError
from include.core.shapes import SCHEMAS
from include.core.source import Feed, Release, Source
from include.replay import PACK_CLOCK
from include.sources import registry
from include.warehouse import build as builds

START, CLOCK = datetime(2023, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
POLLS = (CLOCK - START) // timedelta(minutes=30)
MODELS = ("observation_version", "observation_known")
AS_OF = datetime(2026, 1, 23, 3, 7, tzinfo=UTC)


def _nothing(_: object) -> None:
    raise ContractError("these rows have no payload")


_FEED = Feed(
    name="whole", kind="WINDOW", clock="etf_flows", shape="observation", media="html", parse=_nothing, restates="all",
    release=Release("NYSE", 1, "05:00"), revises=True,
)  # fmt: skip
_SOURCE = Source(
    source_id="bench_a", title="", base_url="http://127.0.0.1", lineage_root="bench_a", evidence_kind="compilation",
    rank=1, licence="", credit="", verified="documented",
    feeds=(_FEED, replace(_FEED, name="newest", restates="window", rank=1)),
)  # fmt: skip
SOURCES = {
    "one": [replace(_SOURCE, feeds=(_FEED,))],
    "three": [_SOURCE, replace(_SOURCE, source_id="bench_b", lineage_root="bench_b", rank=2, feeds=(_FEED,))],
}

# what a page shows of a session's cell, from when on: a partial print in the first night, the final one, sometimes a
# correction, sometimes a blank of three hours; `$days` is how long a session stays on the page
_STEPS = """
    create or replace temp table step as
    with cell as (
        select 'ETF_FLOW.BTC.F' || lpad(fund::varchar, 2, '0') as series_id, day::date as event_date,
            day::timestamptz as opens, (hash(fund, day::date, $salt) % 1000)::bigint as h,
            (hash(fund, day::date) % 1000000 + case when hash(fund, day::date, $salt) % 10 = 0 then 500 else 0 end)
                ::decimal(38, 18) as value
        from range($start::timestamp, $clock::timestamp, interval 1 day) as days (day), range(12) as funds (fund)
        where isodow(day) < 6
    ), shown as (
        select *, opens + interval 22 hour as shown_at, value / 2 as v, 'partial' as s from cell
        union all select *, opens + interval 29 hour, value, 'final' from cell
        union all select *, opens + interval 40 hour + to_hours(h), value + 1000, 'final' from cell where h % 50 = 0
        union all select *, opens + interval 40 hour + to_hours(h), null, 'blank' from cell where h % 100 = 1
        union all select *, opens + interval 43 hour + to_hours(h), value, 'final' from cell where h % 100 = 1
        union all select *, opens + to_days($days), null, 'blank' from cell
    ), spans as (
        select *, lead(shown_at, 1, $clock::timestamptz) over (partition by series_id, event_date order by shown_at) as until
        from shown where shown_at <= opens + to_days($days)
    )
    select series_id, event_date, v::decimal(38, 18) as value, s as obs_status,
        ceil(epoch(shown_at - $first::timestamptz) / 1800)::int as first_no,
        least(ceil(epoch(until - $first::timestamptz) / 1800)::int, $polls) - 1 as last_no
    from spans where s != 'blank' and shown_at < $clock::timestamptz"""

_RUNS = """
    select step.* exclude (first_no, last_no), 'usd' as unit, $source as source_id, $feed as feed, $rank as feed_rank,
        $source as lineage_root, 'compilation' as evidence_kind, value::varchar as value_raw,
        'first_seen' as vintage_kind, opens.seen_at as first_seen, closes.seen_at as last_seen,
        closes.no - opens.no + 1 as n_seen, opens.payload_sha256, 'row=' || event_date as locator,
        '1' as parser_version, null::varchar as measurement_root, null::timestamptz as event_at,
        null::timestamptz as period_start, null::timestamptz as published_at, null::timestamptz as claimed_known_at
    from step
    inner join poll as opens on opens.no = greatest(first_no, $from)
    inner join poll as closes on closes.no = least(last_no, $to)
    where first_no <= $to and last_no >= $from and first_no <= last_no
    order by series_id, event_date, first_seen"""

_PAGES = """
    select $source as source_id, $feed as feed, payload_sha256, seen_at, 'first_seen' as vintage_kind,
        $restates as restates, greatest((seen_at - to_days($days - 1))::date, $start::date) as scope_from,
        seen_at::date as scope_to, 12 as n_cells, '1' as parser_version
    from poll where no between $from and $to"""


def rows(home: Path, sources: list[Source]) -> None:
    """The row and page files of the sources' feeds, closed month by closed month."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        salt = 0
        for source in sources:
            for feed in source.feeds:
                salt += 1
                _feed_rows(con, home, source, feed, salt)


def _feed_rows(con: duckdb.DuckDBPyConnection, home: Path, source: Source, feed: Feed, salt: int) -> None:
    first, days = START + timedelta(minutes=7 * salt), 60 if feed.restates == "window" else 10_000
    con.execute(_STEPS, {"start": START, "clock": CLOCK, "salt": salt, "days": days, "first": first, "polls": POLLS})
    con.execute(
        "create or replace temp table poll as select range::int as no, $1::timestamptz + to_minutes(30 * range::int) "
        "as seen_at, sha256($2 || range) as payload_sha256 from range($3)",
        [first, f"{source.source_id}{feed.name}", POLLS],
    )
    months = con.execute(
        "select strftime(seen_at, '%Y-%m') as month, min(no), max(no) from poll group by 1 order by 1"
    ).fetchall()
    same = {"source": source.source_id, "feed": feed.name}
    asked = {
        "observation": (_RUNS, same | {"rank": feed.rank}),
        "page": (_PAGES, same | {"restates": feed.restates, "days": days, "start": START}),
    }
    for shape, (sql, said) in asked.items():
        folder = home / "rows" / shape / f"{source.source_id}__{feed.name}"
        folder.mkdir(parents=True)
        for month, low, high in months:
            table = con.execute(sql, said | {"from": low, "to": high}).to_arrow_table()
            pq.write_table(table.select(SCHEMAS[shape].names).cast(SCHEMAS[shape]), folder / f"{month}.parquet")
        (folder / "index").write_text("".join(f"{month}.parquet\n" for month, _, _ in months))


def ledger(home: Path, sources: list[Source]) -> None:
    """Build the ledger's models over `rows`; one line: CPU seconds of each with its rows, and their sum."""
    rows(home, sources)
    tables = {name: [] for name in ("asked", "hold", "fetch_outcome", "gate_result", "publication", "model_run")}
    made = builds.prepare(home, sources, run_id="run-bench", clock=CLOCK, as_of=None, tables=tables)
    spent: dict[str, float] = {}
    last = 0.0

    def on_node(data) -> None:
        nonlocal last
        used = resource.getrusage(resource.RUSAGE_SELF)
        now = used.ru_utime + used.ru_stime
        spent[data.node_info.node_name], last = now - last, now

    builds.run_dbt(made, ["build", "--select", "+observation_known", "--exclude-resource-type", "test",
                          "--exclude-resource-type", "unit_test"], threads=1, on_node=on_node)  # fmt: skip
    n_rows = {m: builds.query(made.scratch, f"select count(*) from ledger.{m}")[0][0] for m in MODELS}
    (n_runs,) = builds.query(made.scratch, "select count(*) from staging.stg_observation")[0]
    (n_pages,) = builds.query(made.scratch, "select count(*) from landing.page")[0]
    print(f"{n_pages:,} pages, {n_runs:,} runs: " + ", ".join(f"{m} {n_rows[m]:,} rows {spent[m]:.2f} s cpu" for m in MODELS)
          + f"; together {sum(spent[m] for m in MODELS):.2f} s cpu")  # fmt: skip


def versions(home: Path) -> None:
    """10M versions of 4M cells (one to four of each) as a version-grained fact holds them, and the current ones."""
    home.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(home / "versions.duckdb")) as con:
        con.execute("""
            create table version as
            select
                'S.' || lpad((cell // 10000)::varchar, 3, '0') as series_id,
                date '1998-01-01' + (cell % 10000)::int as event_date,
                n + 1 as version_no,
                (hash(cell, n) % 1000000)::decimal(38, 18) as value,
                'final' as obs_status,
                (date '1998-01-02' + (cell % 10000 + 30 * n)::int)::timestamptz as known_from,
                case when n < cell % 4 then (date '1998-02-01' + (cell % 10000 + 30 * n)::int)::timestamptz end as known_to
            from range(4000000) as cells (cell), range(4) as numbers (n)
            where n <= cell % 4""")
        con.execute("create table current_version as from version where known_to is null")


_SUM = "select series_id, sum(value), count(*) from {} group by series_id order by series_id"
ASKED = {
    "current": _SUM.format("current_version"),
    "interval": _SUM.format("version where known_from <= $at and (known_to is null or $at < known_to)"),
    "window": _SUM.format(
        "(from version where known_from <= $at qualify row_number() over "
        "(partition by series_id, event_date order by known_from desc) = 1)"
    ),
}


def ask(name: str, home: Path) -> None:
    """One aggregate over the current rows, or over the versions as known at the end: the same figures each way."""
    with duckdb.connect(str(home / "versions.duckdb"), read_only=True) as con:
        params = {"at": CLOCK} if "$at" in ASKED[name] else {}
        told = con.execute(ASKED[name], params).fetchall()
        if (len(told), sum(n for *_, n in told)) != (400, 4_000_000):
            raise SystemExit(f"bench: {name} does not answer for every cell")


def build(name: str, home: Path) -> None:
    """The warehouse at `home` built once more: `plain` without data tests, `tested` with them, `as_of` an instant."""
    as_of = AS_OF if name == "as_of" else None
    made = builds.prepare(home, list(registry().values()), run_id=f"bench-{name}", clock=PACK_CLOCK, as_of=as_of,
                          tables=pipeline._tables(home))  # fmt: skip
    if name == "tested":
        builds.make(made, threads=2)
    else:
        left_out = ["--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]
        builds.run_dbt(made, ["build", *left_out], threads=2)


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    if what in ASKED:
        ask(what, where)
    elif what in ("plain", "tested", "as_of"):
        build(what, where)
    else:
        versions(where) if what == "versions" else ledger(where / what, SOURCES[what])
