"""Absent is not zero, through every derivation: one table in which every way of saying nothing stands, and its past.

The bundled table up to 15 January 2026, then ten sessions of the test's own: a holiday, a reported zero, a withdrawn
cell, a session of zeros, one that never came, a held figure, a partial one, a placeholder. Beside it the Solana table
as a stranger saved it page by page, an undated copy's late history, and a second parser.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from include import pipeline
from include.core.clock import iso, parse_instant
from include.replay import farside
from include.replay.record import known
from include.replay.server import ReplayServer
from include.settings import Settings
from include.sources import registry
from include.warehouse import holds
from tests.conftest import capmig
from tests.e2e.declared import body, built, home, land_curated, registered, source, take_in

US = timedelta(microseconds=1)
CLOCK = parse_instant("2026-01-30T13:00:00Z")
BASE, ADDS, WITHDRAWS, MORE, SHORT, LAST = (
    parse_instant(f"2026-01-{at}Z") for at in ("16T12:00", "22T05:00", "23T05:00", "27T05:00", "29T05:00", "29T14:00")
)
FUNDS = farside.COLUMNS["btc"][:-1]
OLD = date(2025, 11, 20)  # forty sessions before it was corrected
Table = dict[date, dict[str, Decimal]]


def day(number: int) -> date:
    return date(2026, 1, number)


def row(without: tuple[str, ...] = (), **flows: str) -> dict[str, Decimal]:
    """A session's cells: 0.0 unless a fund is named, `without` some; the total is their sum."""
    cells = {fund: Decimal(flows.get(fund, "0.0")) for fund in FUNDS if fund not in without}
    return cells | {"Total": sum(cells.values(), Decimal(0))}


def pages() -> Iterator[tuple[datetime, Table, int]]:
    """(seen_at, the whole table then, how many rows the page shows) in the order of time."""
    table: Table = {
        on: {name: Decimal(text) for name, text in cells.items()}
        for on, cells in known("farside", "btc", BASE).items()
        if on <= day(15)
    }
    yield BASE, table, len(table)
    table = table | {day(16): row(IBIT="15.1", FBTC="-409.8"), day(19): {"Total": Decimal(0)}}
    table |= {day(20): row(FBTC="-422.8"), day(21): row(IBIT="-356.6", FBTC="-352.1")}
    yield ADDS, table, len(table)
    corrected = table[OLD] | {name: table[OLD][name] + 1 for name in ("FBTC", "Total")}
    table = table | {OLD: corrected, day(21): row(("IBIT",), FBTC="-352.1"), day(22): row()}
    yield WITHDRAWS, table, len(table)
    table = table | {day(26): row(IBIT="-30.0"), day(27): row(IBIT="-71.0", FBTC="8.0")}
    yield MORE, table, len(table)
    table = table | {day(28): row(("IBIT", "BTCO", "BRRR"), FBTC="-9.8")}
    yield SHORT, table, 3
    yield LAST, table | {day(29): {"Total": Decimal(0)}}, 3


# A stranger's vintages of another asset.

SOL_FUNDS = ("BSOL", "VSOL", "FSOL", "TSOL", "SOEZ", "GSOL")
NIGHTS = (day(20), day(21), day(22))


def sol_pages() -> list[tuple[datetime, Table]]:
    """Three nights, half an hour a page: cells fill, one of the night before is corrected, one goes and comes back."""
    rng = random.Random(7)
    table: Table = {day(n): {f: Decimal(rng.randint(-99, 99)) / 10 for f in SOL_FUNDS} for n in (13, 14, 15, 16)}
    out = []
    for night in NIGHTS:
        at = datetime(2026, 1, night.day, 22, 30, tzinfo=UTC)
        order = rng.sample(SOL_FUNDS, len(SOL_FUNDS))
        filled: dict[str, Decimal] = {}
        for step, fund in enumerate(order):
            filled = filled | {fund: Decimal(rng.randint(-99, 99)) / 10}
            shown = {f: v for f, v in filled.items() if step != 4 or f != order[0]}
            if step == 3:
                before = max(on for on in table if on < night)
                table = table | {before: table[before] | {order[1]: table[before][order[1]] + Decimal("2.5")}}
            table = table | {night: shown}
            out.append((at + step * timedelta(minutes=30), table))
        table = table | {night: filled}
    return out


def sol_page(table: Table) -> bytes:
    """The page in the site's shape."""
    shown = {on: cells | {"Total": sum(cells.values(), Decimal(0))} for on, cells in table.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(farside.COLUMNS, "sol", (*SOL_FUNDS, "Total"))
        patch.setitem(farside.TITLES, "sol", "Solana ETF Flow (US$m)")
        return farside.page("sol", shown, len(shown))


def import_sol(settings: Settings) -> None:
    """In random order: a handful by the command that a user types, the rest by what it calls."""
    shuffled = sol_pages()
    random.Random(11).shuffle(shuffled)
    for n, (at, table) in enumerate(shuffled):
        if n % 5:
            assert take_in(settings, "farside", "sol", at, sol_page(table)) == "LANDED"
            continue
        path = settings.home / "saved.html"
        path.write_bytes(sol_page(table))
        done = capmig(settings.home, "import", "farside", str(path), "--asset", "SOL", "--observed-at", iso(at))
        assert done.returncode == 0, done.stderr


GAUGES = {
    "late_fixed": {"revises": False},  # never revised: its declared release dates what nobody watched
    "late_revised": {"revises": True},
}
GAUGED = {
    name: [(f"FX.{name.removeprefix('late_').upper()}.FIXING", day(n), f"1.1{n}") for n in (5, 6, 7)] for name in GAUGES
}


def gauge(name: str, scale: int = 0, version: str = "1"):
    return source(name, "measurement", unit="jpy_per_usd", scale=scale, parser_version=version, **GAUGES[name])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything landed, and a figure held."""
    path = tmp_path_factory.mktemp("statuses")
    with ReplayServer(CLOCK) as server, registered(*map(gauge, GAUGES)):
        settings = home(path, CLOCK, base_urls={name: server.base_url(name) for name in ("ust", "mof")})
        land_curated(settings)
        for source_id in ("ust", "mof"):
            for feed in registry()[source_id].feeds:
                pipeline.land(settings, source_id, feed.name, run_id="landed")
        for at, table, shown in pages():
            page = farside.page("btc", dict(sorted(table.items())), shown)
            assert take_in(settings, "farside", "btc", at, page) == "LANDED"
        for name in GAUGES:
            assert take_in(settings, name, "said", parse_instant("2026-01-28T12:00Z"), body(GAUGED[name])) == "LANDED"
        import_sol(settings)
        held = {"rule_id": "G5.magnitude", "source_id": "farside", "event_date": day(27), "event_at": None,
                "obs_status": "final", "why": "a test"}  # fmt: skip
        cells = {"ETF_FLOW.BTC.IBIT": Decimal(-71_000_000), "ETF_FLOW.BTC.TOTAL": Decimal(-63_000_000)}
        holds.add(path, [held | {"series_id": s, "value": v} for s, v in cells.items()], MORE)
        yield settings


@pytest.fixture(scope="module")
def current(settings: Settings):
    return built(settings, "current")


@pytest.fixture(scope="module")
def ask(current) -> Iterator:
    """Rows of a statement on the marts as known at the clock."""
    with duckdb.connect(str(current.warehouse), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield lambda sql, *given: con.execute(sql, list(given)).fetchall()


# Cells.


@pytest.mark.parametrize(
    ("on", "ticker", "versions"),
    [
        (19, "TOTAL", [(None, "holiday")]),
        (20, "IBIT", [("0", "reported_zero")]),
        (21, "IBIT", [("-356.6", "final"), (None, "retracted")]),
        (21, "FBTC", [("-352.1", "final")]),
        (22, "IBIT", [("0", "reported_zero")]),
        (22, "TOTAL", [("0", "final")]),
        (23, "IBIT", []),
        (27, "IBIT", [(None, "held")]),
        (28, "IBIT", []),
        (28, "TOTAL", [("-9.8", "final")]),
        (29, "TOTAL", [(None, "not_yet")]),
        (29, "IBIT", []),
        # shown by no later page, which were short and spoke for other days
        (16, "FBTC", [("-409.8", "final")]),
    ],
)
def test_every_way_of_saying_nothing_is_another(ask, on: int, ticker: str, versions: list[tuple]) -> None:
    """Version by version, in the ledger's public table and in the fund table alike."""
    usd = [(None if v is None else Decimal(v) * 10**6, status) for v, status in versions]
    assert ask("select value, obs_status from marts.fct_observation where source_id = 'farside' and series_id = $1 "
               "and event_date = $2 order by version_no", f"ETF_FLOW.BTC.{ticker}", day(on)) == usd  # fmt: skip
    assert ask("select net_flow_usd, obs_status from marts.fct_etf_flow_daily where source_id = 'farside' "
               "and asset = 'BTC' and ticker = $1 and session_date = $2 order by version_no", ticker, day(on)) == usd  # fmt: skip


def test_a_short_page_withdraws_nothing_else(ask) -> None:
    """Of all that landed, one cell is withdrawn, from the page that covers it and lacks it."""
    assert ask("select series_id, event_date, known_from, locator from marts.fct_observation "
               "where obs_status = 'retracted' and series_id like 'ETF_FLOW.BTC.%'") == [
        ("ETF_FLOW.BTC.IBIT", day(21), WITHDRAWS, "absent from the page")
    ]  # fmt: skip


# Sessions.

SESSION = """select net_flow_usd, obs_status, n_funds_reported, n_funds_missing, streak, cum5_usd is not null,
    z60 is not null, z60_reason, abs_flow_pctile is not null, breadth_out is not null, flow_hhi is not null, n_final_5
    from {of}marts.fct_etf_flow_agg_daily where asset = 'BTC' and session_date = $1"""
SCORED, LEFT = (True, None, True, True, True), (False, "not_final", True, True, True)
NOTHING = (False, "not_final", False, False, False)


@pytest.mark.parametrize(
    ("on", "flow", "status", "reported", "streak", "cum5", "scores", "n_final"),
    [
        (20, "-422.8", "final", 11, -2, True, SCORED, 5),
        (21, "-352.1", "partial", 10, None, False, LEFT, 4),
        (22, "0", "final", 11, 0, False, (True, None, True, True, False), 4),  # nothing moved: no concentration
        (23, None, "not_yet", 0, None, False, NOTHING, 3),
        (26, "-30", "final", 11, None, False, SCORED, 3),  # what ended the run before it is not known
        (27, "8", "partial", 10, None, False, LEFT, 2),
        (28, "-9.8", "partial", 8, None, False, LEFT, 2),
        (29, None, "not_yet", 0, None, False, NOTHING, 1),
    ],
)
def test_what_each_status_does_to_a_session(
    ask, on: int, flow: str | None, status: str, reported: int, streak: int | None, cum5: bool, scores: tuple,
    n_final: int,
) -> None:  # fmt: skip
    """Total, completeness, sums, runs, scores and shares: NULL exactly where an input is not there."""
    flow = None if flow is None else Decimal(flow) * 10**6
    told = ask(SESSION.format(of=""), day(on))
    assert told == [(flow, status, reported, 11 - reported, streak, cum5, *scores, n_final)]


def test_closed_days_and_days_to_come_are_no_sessions(ask) -> None:
    """A printed zero on the holiday makes no row; nor does the session that has not opened."""
    assert ask("select session_date from marts.fct_etf_flow_agg_daily where asset = 'BTC' "
               "and session_date in ('2026-01-17', '2026-01-19', '2026-01-30')") == []  # fmt: skip


def test_a_held_figure_counts_for_nobody(ask) -> None:
    """The session stands on what is left, and says that it stands alone."""
    told = ask("select n_lineages, agreement_status, grade, known_from from marts.fct_etf_flow_agg_daily "
               "where asset = 'BTC' and session_date = '2026-01-27'")  # fmt: skip
    assert told == [(1, "single_source", "C", MORE)]
    assert ask("select count(*) from marts.fct_revision where event_date = '2026-01-27'") == [(0,)]


def test_what_is_a_revision(ask) -> None:
    """A withdrawal and a correction of forty sessions ago (row 25) are; a hold and a placeholder are not."""
    told = ask("""select series_id, event_date, previous_value, value, delta, revision_kind, obs_status
        from marts.fct_revision where series_id like 'ETF_FLOW.BTC.%' and known_from > $1 order by all""", ADDS)  # fmt: skip
    by_cell = {(series.split(".")[2], on): rest for series, on, *rest in told}
    assert by_cell["IBIT", day(21)] == [Decimal(-356_600_000), None, None, "correction", "retracted"]
    assert by_cell["FBTC", OLD][2:] == [Decimal(1_000_000), "correction", "final"]
    assert set(by_cell) == {("IBIT", day(21)), ("TOTAL", day(21)), ("FBTC", OLD), ("TOTAL", OLD)}


# Coverage, the brief, the rates.


def test_coverage_knows_late_gap_held_and_due(ask) -> None:
    """And no weekend or holiday among them (row 36)."""
    told = dict(ask("select event_date, state from marts.mart_coverage_calendar where series_id = 'ETF_FLOW.BTC.TOTAL' "
                    "and source_id = 'farside' and event_date >= '2026-01-16'"))  # fmt: skip
    assert told == {
        day(16): "landed", day(20): "landed", day(21): "landed", day(22): "landed", day(23): "source_gap",
        day(26): "landed", day(27): "held", day(28): "landed", day(29): "late", day(30): "not_due",
    }  # fmt: skip
    closed = ask("""select count(*) from marts.mart_coverage_calendar as due anti join marts.dim_market_session as open
        on open.calendar = 'NYSE' and open.session_date = due.event_date where due.source_id = 'farside'""")
    assert closed == [(0,)]


def test_the_brief_names_them(ask) -> None:
    """What is late, held and missing, each in its section."""
    told = {(section, status): text for section, status, text in ask(
        "select section, status, value_text from marts.mart_daily_brief where headline = 'farside/btc'")}  # fmt: skip
    assert told["held", "held"] == "2 figures withheld"
    assert told["late", "late"].startswith("1 readings")
    assert ("gap", "source_gap") in told
    headline = ask("select value, status from marts.mart_daily_brief where section = 'headline' "
                   "and headline like 'BTC spot ETFs, session of 2026-01-29'")  # fmt: skip
    assert headline == [(None, "not_yet")]


@pytest.mark.parametrize(
    ("on", "us", "jp", "state"),
    [
        (12, True, False, {"ust": "landed"}),  # closed in Tokyo
        (19, False, True, {"mof": "landed"}),  # closed in New York
        (29, True, True, {"ust": "landed", "mof": "landed"}),
        (30, False, False, {"ust": "not_due", "mof": "not_due"}),  # not yet
        (31, None, None, {}),
    ],
)
def test_a_closed_market_and_one_that_has_not_printed(
    ask, on: int, us: bool | None, jp: bool | None, state: dict
) -> None:
    """Both have no difference of their own and hold the last one known; coverage says which is which."""
    told = ask("select us_pct is not null, jp_pct is not null, diff_bp is not null, diff_known_bp is not null "
               "from marts.fct_rate_differential_daily where tenor = '2y' and event_date = $1", day(on))  # fmt: skip
    assert told == ([] if us is None else [(us, jp, us and jp, True)])
    due = dict(ask("select source_id, state from marts.mart_coverage_calendar where series_id like 'YIELD.%.2Y' "
                   "and event_date = $1", day(on)))  # fmt: skip
    assert due == state


# The past.


@pytest.mark.parametrize(
    ("at", "told", "next_day", "old"),
    [
        (WITHDRAWS - US, ("-708.7", "final", 11), (None, "not_yet", 0), "0"),
        (WITHDRAWS, ("-352.1", "partial", 10), ("0", "final", 11), "1"),
    ],
    ids=["before", "after"],
)
def test_before_and_after_a_withdrawal(
    settings: Settings, current, at: datetime, told: tuple, next_day: tuple, old: str
) -> None:
    """As known a microsecond before the page, and with it; a correction of old history changes no past answer."""
    made = built(settings, f"asof-{at:%S%f}", at)
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        con.execute(f"attach '{current.warehouse}' as today (read_only)")
        for on, (flow, status, reported) in ((21, told), (22, next_day)):
            flow = None if flow is None else Decimal(flow) * 10**6
            assert con.execute(SESSION.format(of=""), [day(on)]).fetchall()[0][:3] == (flow, status, reported)
        change = con.execute("""select old.value - past.value from today.marts.fct_observation as old
            inner join marts.fct_observation as past using (series_id, source_id, event_date)
            where series_id = 'ETF_FLOW.BTC.FBTC' and event_date = $1 and past.known_to is null
                and old.known_to is null""", [OLD]).fetchall()  # fmt: skip
        assert change == [(Decimal(1_000_000) * (1 - int(old)),)]


def test_late_history_counts_from_when_it_was_seen(ask) -> None:
    """What may have been revised before us is known from its page; what is never revised from its declared release."""
    told = ask("select source_id, event_date, known_from, vintage_kind from marts.fct_observation "
               "where source_id like 'late_%' order by all")  # fmt: skip
    release = [datetime(2026, 1, n + 1, 12, tzinfo=UTC) for n in (5, 6, 7)]
    seen = parse_instant("2026-01-28T12:00Z")
    assert told == [
        *(("late_fixed", on, at, "pseudo") for (_, on, _), at in zip(GAUGED["late_fixed"], release, strict=True)),
        *(("late_revised", on, seen, "backfill_unknown") for _, on, _ in GAUGED["late_revised"]),
    ]
    assert ask("select min(known_from), count(*) > 5000 from marts.fct_observation where source_id = 'farside' "
               "and series_id like 'ETF_FLOW.BTC.%' and vintage_kind = 'backfill_unknown'") == [(BASE, True)]  # fmt: skip
    assert ask("select count(*) from marts.fct_observation where series_id like 'ETF_FLOW.BTC.%' and known_from < $1",
               BASE) == [(0,)]  # fmt: skip


def test_a_strangers_pages_in_any_order_tell_what_was_known(ask) -> None:
    """Every session's total at every page's instant and a microsecond before it."""
    saved = sol_pages()
    for at in [at - shift for at, _ in saved for shift in (timedelta(0), US)]:
        shown = next((table for seen, table in reversed(saved) if seen <= at), {})
        told = dict(ask("select session_date, sum(net_flow_usd) from marts.fct_etf_flow_daily where asset = 'SOL' "
                        "and ticker != 'TOTAL' and net_flow_usd is not null and known_from <= $1 "
                        "and (known_to is null or $1 < known_to) group by all", at))  # fmt: skip
        assert told == {on: sum(cells.values()) * 10**6 for on, cells in shown.items()}, iso(at)
    assert ask("select obs_status, n_funds_reported from marts.fct_etf_flow_agg_daily where asset = 'SOL' "
               "and session_date = $1", NIGHTS[-1]) == [("final", 6)]  # fmt: skip


# Another parser.


def test_a_new_parser_leaves_no_trace_where_it_reads_the_same(settings: Settings, ask) -> None:
    """Versions, their instants and every figure stay; where it reads otherwise, the figure is replaced in its place."""
    shipped = registry()["farside"]
    newer = replace(shipped, feeds=tuple(replace(feed, parser_version="9") for feed in shipped.feeds))
    with registered(newer, gauge("late_revised", scale=2, version="2"), gauge("late_fixed")):
        pipeline._prepare(settings, "run-derives")
        made = built(settings, "reparsed")
    fixings = "select event_date, value, version_no, known_from, parser_version from {}.fct_observation where source_id = 'late_revised'"
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        tables = [
            t for (t,) in con.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
        ]
        read_again = con.execute(fixings.format("marts")).fetchall()
        versions = "select distinct parser_version from marts.fct_observation where source_id = 'farside'"
        assert con.execute(versions).fetchall() == [("9",)]
        assert len(tables) > 15
        for table in tables:
            kept = _figures(con, table)
            assert con.execute(kept).fetchall() == ask(kept), table
    before = ask(fixings.format("marts"))
    assert [(on, value * 100, n, at) for on, value, n, at, _ in before] == [row[:4] for row in read_again]
    assert {row[-1] for row in read_again} == {"2"}
    assert ask("select count(*) from marts.fct_revision where source_id = 'late_revised'") == [(0,)]


def _figures(con: duckdb.DuckDBPyConnection, table: str) -> str:
    """Every row of a mart without the parser's number, and without the series whose second reading is to differ."""
    columns = {c for (c,) in con.execute("select column_name from duckdb_columns() where schema_name = 'marts' "
                                         "and table_name = $1", [table]).fetchall()}  # fmt: skip
    without = "exclude (parser_version)" if "parser_version" in columns else ""
    where = " where series_id is distinct from 'FX.REVISED.FIXING'" if "series_id" in columns else ""
    return f"select * {without} from marts.{table}{where} order by all"


# What is no page.


@pytest.mark.parametrize("kept", ["", "header"], ids=["empty", "header"])
def test_row_13_a_page_without_rows_withdraws_nothing(settings: Settings, kept: str) -> None:
    """It lands, is refused and speaks for no day."""
    page = farside.page("btc", {day(20): row()}, 1)
    head, _, rest = page.partition(b"<tbody>")
    broken = head + b"<tbody></tbody></table></body></html>" if kept else b""
    assert rest
    assert take_in(settings, "farside", "btc", LAST + timedelta(hours=1), broken) == "REJECTED"
