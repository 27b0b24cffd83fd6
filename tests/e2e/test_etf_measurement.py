"""A second measurement behind a flow: what an issuer's own shares and net asset value imply, beside the compilations.

The issuer's workbook is asked of a loopback server at two instants and read by the shipped parser; compilations, a copy
and a venue are sources that the test declares. Every expectation is computed here, from the figures that went in.
"""

import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from include.core.calendars import is_open
from include.core.clock import parse_instant
from include.settings import Settings
from include.warehouse.suites import profile_sql
from tests.e2e.declared import body, built, home, land_curated, registered, source, take_in
from tests.faults.wire import Wire, answer

CLOCK = parse_instant("2026-02-02T12:00:00Z")
FIRST, SECOND = parse_instant("2026-01-30T02:00:00Z"), parse_instant("2026-01-31T02:00:00Z")
SESSIONS = [
    d for n in range(90) if is_open("NYSE", d := date(2025, 11, 10) + timedelta(days=n)) and d < date(2026, 1, 31)
]
NEWEST, BEFORE = SESSIONS[-1], SESSIONS[-2]
FAR, UNCOPIED = date(2026, 1, 14), date(2026, 1, 15)  # one compilation errs; the copy lacks the session
IBIT = "ETF_FLOW.BTC.IBIT"
BASKET = 40_000
DECLARED = (
    source("table_a", "compilation", measures="issuers", rank=1),
    source("table_b", "compilation", measures="issuers", rank=2),
    source("table_late", "compilation", measures="issuers", rank=3),
    source("table_copy", "transcription", root="table_a", measures="issuers", rank=4),
    source("venue", "measurement", rank=1, scale=0),
)

NAV = {d: Decimal(5000 + (n * 37) % 211) / 100 for n, d in enumerate(SESSIONS)}
CREATED = {d: ((n * 7919) % 201 - 100) * BASKET for n, d in enumerate(SESSIONS)}
MISREAD = SESSIONS[9]  # a share too many, for one session
CREATED |= {MISREAD: CREATED[MISREAD] + 1, SESSIONS[10]: CREATED[SESSIONS[10]] - 1}
SHARES = {d: 1_380_000_000 + sum(CREATED[e] for e in SESSIONS if e <= d) for d in SESSIONS}
FLOW = {d: CREATED[d] * NAV[d] for d in SESSIONS[1:]}
REVISED = SHARES | {BEFORE: SHARES[BEFORE] + 3 * BASKET}
DAYS = [SESSIONS[0] + timedelta(days=n) for n in range((NEWEST - SESSIONS[0]).days + 1)]
PRICE = {d: Decimal(9_000_000 + (n * 104_729) % 700_001) / 100 for n, d in enumerate(DAYS)}


def workbook(shares: dict[date, int], until: date) -> bytes:
    """The issuer's spreadsheet, newest session first."""

    def row(*cells: object) -> str:
        return "".join(f'<ss:Cell><ss:Data ss:Type="String">{c}</ss:Data></ss:Cell>' for c in cells)

    rows = [("As Of", "NAV per Share", "Ex-Dividends", "Shares Outstanding")]
    rows += [(f"{d:%b %d, %Y}", NAV[d], "--", shares[d]) for d in reversed(SESSIONS) if d <= until]
    table = "".join(f"<ss:Row>{row(*cells)}</ss:Row>" for cells in rows)
    return (
        '<?xml version="1.0"?><ss:Workbook xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">'
        f'<ss:Worksheet ss:Name="Historical"><ss:Table>{table}</ss:Table></ss:Worksheet></ss:Workbook>'
    ).encode()


def land_issuer(path: Path, at: datetime, page: bytes) -> None:
    """Ask a loopback server for the workbook, at `at`."""
    with Wire(answer(page, content_type="application/vnd.ms-excel")) as wire:
        (attempt,) = pipeline.land(home(path, at, base_urls={"ishares": wire.url}), "ishares", "fund_ibit", run_id="l")
        assert attempt.outcome == "LANDED", attempt


def land_tables(settings: Settings) -> None:
    """What others print, in millions: rounded, a session late, again, and once wrong. Nobody has the newest session."""
    seen = [d for d in SESSIONS[1:] if d != NEWEST]
    printed = {d: f"{FLOW[d] / 10**6:.1f}" for d in seen}
    cells = {
        "table_a": [(IBIT, d, f"{FLOW[d] / 10**6 + 30:.1f}" if d == FAR else text) for d, text in printed.items()],
        "table_b": [(IBIT, d, f"{FLOW[d] / 10**6:.4f}") for d in seen],
        "table_late": [(IBIT, after, printed[d]) for d, after in zip(seen, seen[1:], strict=False)],
        "table_copy": [(IBIT, d, text) for d, text in printed.items() if d != UNCOPIED],
        "venue": [("PRICE.BTC.USD", d, str(value)) for d, value in PRICE.items()],
    }
    for name, told in cells.items():
        assert take_in(settings, name, "said", parse_instant("2026-01-31T12:00:00Z"), body(told)) == "LANDED"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything landed, each at its instant."""
    path = tmp_path_factory.mktemp("measurement")
    with registered(*DECLARED):
        settings = home(path, CLOCK)
        land_curated(settings)
        land_issuer(path, FIRST, workbook(SHARES, BEFORE))
        land_issuer(path, SECOND, workbook(REVISED, NEWEST))
        settings = home(path, CLOCK)
        land_tables(settings)
        yield settings


@pytest.fixture(scope="module")
def ask(settings: Settings) -> Iterator:
    """Rows of a statement on what is known at the clock."""
    made = built(settings, "now")
    with duckdb.connect(str(made.scratch)) as con:
        con.execute(f"set TimeZone = 'UTC'; attach '{made.warehouse}' as warehouse (read_only)")
        yield lambda sql, *given: con.execute(sql, list(given)).fetchall()


def agreed(ask, day: date) -> tuple:
    (told,) = ask("""select source_id, n_publishers, n_lineages, n_measurements, agreement_status, grade
        from ledger.observation_agreed where series_id = $1 and event_date = $2""", IBIT, day)  # fmt: skip
    return told


def test_an_issuers_flow_is_computed_from_what_it_printed(ask) -> None:
    """Every session but the first, exactly; over weekends and holidays it is the session before that counts."""
    told = ask("select event_date, value from ledger.observation_known where source_id = 'ishares' and series_id = $1 "
               "order by 1", IBIT)  # fmt: skip
    revised = {d: (REVISED[d] - REVISED[before]) * NAV[d] for before, d in zip(SESSIONS, SESSIONS[1:], strict=False)}
    assert told == sorted(revised.items())


def test_a_session_has_two_measurements_and_the_copy_adds_none(ask) -> None:
    """Two compilations of one measurement, the issuer's own, and a transcription: A, since two measurements agree."""
    day = date(2026, 1, 22)
    assert agreed(ask, day) == ("table_a", 5, 4, 2, "within_tolerance", "A")
    assert agreed(ask, UNCOPIED)[1:4] == (4, 4, 2)  # a publisher less, no lineage and no measurement less


def test_a_contradiction_of_the_issuer_is_a_conflict(ask) -> None:
    """However many print it."""
    assert agreed(ask, FAR)[4:] == ("conflict", "X")


def test_a_flow_dated_a_session_late_is_a_shift_and_no_conflict(ask) -> None:
    """It is compared on the session that it means; issuer and tables are dated alike."""
    told = ask("select source_id, shift_sessions from ledger.lineage_shift where series_id = $1 order by 1", IBIT)
    assert dict(told) == {"ishares": 0, "table_b": 0, "table_copy": 0, "table_late": 1}
    conflicts = ask("select distinct event_date from ledger.observation_agreed where series_id = $1 "
                    "and agreement_status = 'conflict' and source_id = 'table_a'", IBIT)  # fmt: skip
    assert set(conflicts) == {(FAR,), (BEFORE,)}  # the table's error, and what the issuer revised afterwards


def test_a_revision_of_shares_makes_versions_of_both_flows_that_they_stand_in(ask) -> None:
    """From the instant at which the second workbook was seen; the first figure stays known until then."""
    told = ask("""select event_date, version_no, value, revision_kind, known_from, known_to, locator
        from warehouse.marts.fct_observation where source_id = 'ishares' and series_id = $1 and event_date >= $2
        order by 1, 2""", IBIT, BEFORE)  # fmt: skip
    changed = 3 * BASKET
    first = f"shares {SHARES[BEFORE]} - {SHARES[SESSIONS[-3]]}, nav {NAV[BEFORE].normalize():f}"
    assert [(d, n, v, kind, since.astimezone(FIRST.tzinfo), until) for d, n, v, kind, since, until, _ in told] == [
        (BEFORE, 1, FLOW[BEFORE], None, FIRST, SECOND),
        (BEFORE, 2, (CREATED[BEFORE] + changed) * NAV[BEFORE], "correction", SECOND, None),
        (NEWEST, 1, (CREATED[NEWEST] - changed) * NAV[NEWEST], None, SECOND, None),
    ]
    assert told[0][-1] == first


def test_shares_that_do_not_change_by_whole_baskets_are_labelled(ask) -> None:
    """The session with a share too many and the one after it, by the gate's own profile; the figures stay."""
    told = ask(f"select n_basket, basket_eg from ({profile_sql('observation')}) where subject = 'ishares/fund_ibit'")
    assert told == [(2, ", ".join(f"SHARES.BTC.IBIT {d} by {CREATED[d]}.00" for d in (SESSIONS[10], MISREAD)))]


def test_as_of_before_the_revision_nothing_of_it_is_known(settings: Settings) -> None:
    """The first flow alone, from the first workbook's bytes; the newest session has none."""
    made = built(settings, "then", parse_instant("2026-01-30T12:00:00Z"))
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        told = con.execute("select event_date, value, known_to from marts.fct_observation where source_id = 'ishares' "
                           "and series_id = $1 and event_date >= $2", [IBIT, BEFORE]).fetchall()  # fmt: skip
    assert told == [(BEFORE, FLOW[BEFORE], None)]


def test_one_issuer_alone_is_not_the_session(ask) -> None:
    """Of eleven listed funds it has one: it stands beside the tables, and the session waits for them."""
    told = ask("select n_funds_reported, net_flow_usd, obs_status from warehouse.marts.fct_etf_flow_agg_daily "
               "where asset = 'BTC' and session_date = $1", NEWEST)  # fmt: skip
    assert told == [(0, None, "not_yet")]
    assert ask("select count(*) from ledger.etf_lineage where source_id = 'ishares' and is_published") == [(0,)]
    assert agreed(ask, NEWEST) == ("ishares", 1, 1, 1, "single_source", "A")  # an origin's own figure of its fund


def test_returns_and_volatility_are_what_the_formula_gives(ask) -> None:
    """Session to session, recomputed one after another: v = 0.94 v + 0.06 r^2, over its weight; a year of 252."""
    told = ask("select session_date, close_usd, n_days, log_return, realised_vol from "
               "warehouse.marts.fct_asset_return_daily where asset = 'BTC' order by 1")  # fmt: skip
    expected, mean, weight, before = [], 0.0, 0.0, None
    for day in SESSIONS:
        back = math.log(PRICE[day] / PRICE[before]) if before else None
        if back is not None:
            mean, weight = 0.94 * mean + 0.06 * back**2, 0.94 * weight + 0.06
        vol = math.sqrt(mean / weight * 252) if weight >= 0.8 else None
        expected.append((day, PRICE[day], (day - before).days if before else None, back, vol))
        before = day
    assert [row[:3] for row in told] == [row[:3] for row in expected]
    for (*_, back, vol), (*_, wanted_back, wanted_vol) in zip(told, expected, strict=True):
        assert (back is None, vol is None) == (wanted_back is None, wanted_vol is None)
        assert back is None or abs(float(back) - wanted_back) < 1e-8
        assert vol is None or abs(float(vol) - wanted_vol) < 1e-7
    assert sum(row[4] is not None for row in told) == len(SESSIONS) - 27


def test_a_flow_in_coins_is_its_dollars_over_the_close(ask) -> None:
    """On every session with both; the grade is the worse of the two."""
    told = ask("select session_date, flow_native_coin, native_method, grade from "
               "warehouse.marts.fct_etf_flow_native_daily where ticker = 'IBIT' order by 1")  # fmt: skip
    assert [row[0] for row in told] == SESSIONS[1:]
    coins = {day: coin for day, coin, *_ in told}
    day = date(2026, 1, 22)
    assert abs(coins[day] - Decimal(f"{FLOW[day] / 10**6:.1f}") * 10**6 / PRICE[day]) < Decimal("1e-7")
    assert {method for _, _, method, _ in told} == {"price"}
    assert dict((row[0], row[3]) for row in told)[FAR] == "X"
