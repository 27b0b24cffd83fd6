"""Carry and positions: every figure of the record once more in plain Python, and what checks it on recorded pages.

The record has rates, yields and the exchange rate; what the other sources of wave one would say comes from their recorded
cases, imported as seen, and built by the real path.
"""

import csv
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal, localcontext
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from include.answers import reader
from include.core.clock import parse_instant
from include.landing.land import import_file
from tests.e2e.declared import built, home
from tests.e2e.test_scores import gap, market_leg, newest, policy_leg
from tests.sources.wire import CASES

STEP = Decimal("0.00000001")
CLOCK = parse_instant("2026-02-02T12:00:00Z")
# case, and when its page was seen
PAGES = {
    "ust/par_curve__ordinary.csv": "2026-01-23T00:00:00Z",
    "frb/h15__ordinary.csv": "2026-01-23T22:00:00Z",
    "frb/h10__ordinary.csv": "2026-01-26T22:00:00Z",
    "bis/cbpol__steps.csv": "2026-01-02T12:00:00Z",
    "bis/cbpol__ordinary.csv": "2026-01-29T12:00:00Z",
    "ecb/exr__ordinary.csv": "2026-01-22T16:00:00Z",
    "cboe/vix__ordinary.csv": "2026-01-26T15:00:00Z",
    "cboe/spx__ordinary.csv": "2026-01-26T15:00:00Z",
    "cftc/tff__held_back.json": "2026-01-26T12:00:00Z",
    "cftc/tff__ordinary.json": "2026-01-26T12:00:00Z",
}


@pytest.fixture(scope="module")
def record(pack_home: Path) -> Iterator:
    """Rows of a statement on the file served from the bundled record."""
    with reader.connect(pack_home / "serve" / "warehouse.duckdb") as con:
        yield lambda sql: reader.query(con, sql).fetchall()


def volatility(returns: list[Decimal]) -> Decimal | None:
    """Per cent a year of the newest 60 log returns, newest last: weights 0.94 to the power of age, 252 to a year."""
    window = returns[-60:]
    if len(window) < 48:
        return None
    weights = [Decimal("0.94") ** age for age in range(len(window))]
    squares = [r * r for r in reversed(window)]
    mean = sum((w * s for w, s in zip(weights, squares, strict=True)), Decimal(0)) / sum(weights)
    return 100 * (252 * mean).sqrt()


@pytest.mark.parametrize("tenor", ["policy", "2y", "10y"])
def test_every_carry(record, tenor: str) -> None:
    """Each day's legs over the volatility of the returns up to it; nothing where one of them is missing, and why."""
    policy = tenor == "policy"
    us, jp = (policy_leg(record, bank) if policy else market_leg(record, f"YIELD.{side}.{tenor.upper()}")
              for side, bank in (("US", "FOMC"), ("JP", "BOJ")))  # fmt: skip
    rates = [(day, value) for day, _, (value,) in market_leg(record, "FX.USDJPY.NOON_NY")]
    told = record(f"""select event_date, carry_pct, jpy_per_usd, fx_log_return, fx_realised_vol_pct, carry_to_vol,
        carry_to_vol_reason from marts.fct_carry_daily where tenor = '{tenor}' order by 1""")
    with localcontext(prec=40):
        moves = [(day, (now / before).ln()) for (_, before), (day, now) in pairwise(rates)]
        for day, carry, rate, move, vol, ratio, why in told:
            legs = [newest(side, day, days=None if policy else 1) for side in (us, jp)]
            basis = gap(*legs)
            assert carry == (None if basis is None else basis / 100), day
            assert rate == dict(rates).get(day), day
            returns = [r for on, r in moves if on <= day] if rate else []
            expected = volatility(returns)
            assert move is None if not rate or day == rates[0][0] else abs(move - dict(moves)[day]) <= STEP, day
            assert vol is None if expected is None else abs(vol - expected) <= STEP, day
            assert ratio is None if None in (carry, expected) else abs(ratio - carry / expected) <= STEP, day
            assert (ratio is None) == (why is not None), day
    days = {row[0] for row in told}
    assert days >= {day for day, _ in rates if day >= min(us[0][0], jp[0][0])}
    assert sum(row[5] is not None for row in told) > 60


def test_the_first_screen_tells_the_carry_of_the_newest_fixing(record) -> None:
    """One line, and its figure is the mart's; no line on positions, of which the record has none."""
    ((value, grade, event_date),) = record("select value, grade, event_date from marts.mart_daily_brief "
                                           "where headline like 'Carry to volatility%'")  # fmt: skip
    ((ratio, carry_grade),) = record(f"select carry_to_vol, grade from marts.fct_carry_daily where tenor = 'policy' "
                                     f"and event_date = '{event_date}'")  # fmt: skip
    assert (value, event_date) == (ratio, date(2026, 1, 23))
    assert grade >= carry_grade
    assert record("select * from marts.mart_daily_brief where headline like 'Leveraged funds%'") == []
    assert record("select * from marts.fct_positioning_weekly") == []


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Rows of a statement on a warehouse of the recorded pages; ledger and marts."""
    settings = home(tmp_path_factory.mktemp("carry"), CLOCK)
    for feed in ("fund_listing", "fund_aum", "policy_decision"):
        pipeline.land(settings, "curated", feed, run_id="curated")
    for name, at in PAGES.items():
        source_id, file = name.split("/")
        done = import_file(settings, source_id, file.split("__")[0], CASES / name,
                                    observed_at=parse_instant(at), run_id="seen")  # fmt: skip
        assert done.outcome == "LANDED", (name, done.reason)
    made = built(home(settings.home, CLOCK), "pages")
    with duckdb.connect(str(made.scratch)) as con:
        con.execute(f"set TimeZone = 'UTC'; attach '{made.warehouse}' as warehouse (read_only)")
        yield lambda sql, *given: con.execute(sql, list(given)).fetchall()


def test_a_curve_that_is_served_again_is_no_second_source(ask) -> None:
    """H.15 beside the Treasury: two publishers, one lineage, one measurement; the origin's figure, and its grade."""
    told = ask("""select source_id, value, n_publishers, n_lineages, n_measurements, agreement_status, grade, others
        from ledger.observation_agreed where series_id = 'YIELD.US.2Y' and event_date = '2026-01-22'""")
    assert told == [("ust", Decimal("3.61"), 2, 1, 1, "single_source", "A", "frb 3.61")]
    kinds = ask("""select lineage_root, evidence_kind from warehouse.marts.fct_observation
        where source_id = 'frb' and series_id like 'YIELD.%' group by all""")
    assert kinds == [("ust", "transcription")]
    alone = ask("""select source_id, grade from ledger.observation_agreed
        where series_id = 'YIELD.US.10Y' and event_date = '2026-01-16'""")
    assert alone == [("frb", "C")]


def test_the_middle_of_the_band_is_what_the_decision_says(ask) -> None:
    """BIS prints each rate from the day on which it takes effect: the same as the decision in force, day by day."""
    told = ask("""select printed.event_date, printed.value, arg_max(decision.rate_after_pct, decision.effective_date)
        from ledger.observation_agreed as printed
        inner join warehouse.marts.fct_policy_decision as decision
            on decision.bank = case printed.series_id when 'RATE.JP.POLICY' then 'BOJ' else 'FOMC' end
            and coalesce(decision.effective_date, decision.decision_date) <= printed.event_date
        where printed.source_id = 'bis' and printed.event_date > '2025-12-10' group by all""")
    assert len(told) == 7
    assert [row for row in told if row[1] != row[2]] == []
    ((carry, printed),) = ask("""select carry_pct, carry_transcribed_pct from warehouse.marts.fct_carry_daily
        where tenor = 'policy' and event_date = '2026-01-22'""")
    assert carry == printed == Decimal("2.875")


def test_another_hour_is_another_series(ask) -> None:
    """The European cross stands beside the noon rate with its difference, and never corroborates it."""
    ((noon, apart, vix),) = ask("""select jpy_per_usd, fx_gap_rel, vix_pct from warehouse.marts.fct_carry_daily
        where tenor = 'policy' and event_date = '2026-01-21'""")
    cross = (Decimal("185.32") / Decimal("1.1720")).quantize(Decimal("0.0001"))
    assert (noon, vix) == (Decimal("158.47"), Decimal("16.9"))
    assert abs(apart - (cross - noon) / noon) <= STEP
    assert ask("select n_publishers from ledger.observation_agreed where series_id = 'FX.USDJPY.NOON_NY' "
               "and event_date = '2026-01-21'") == [(1,)]  # fmt: skip


def test_positions_are_those_of_the_report(ask) -> None:
    """Long, short, net and open interest of each group, against the case's own expectation."""
    with (CASES / "cftc/tff__ordinary.expected.csv").open(encoding="utf-8", newline="") as file:
        cells = {(row["cell"], row["day"]): Decimal(row["value"]) for row in csv.DictReader(file)}
    told = ask("""select market, upper(trader_group), event_date, long_contracts, short_contracts, net_contracts,
        open_interest_contracts, net_notional, z156_reason from warehouse.marts.fct_positioning_weekly
        where event_date >= '2026-01-01'""")
    assert len(told) == 18
    size = {"BTC": 5, "ETH": 50, "JPY": 12_500_000}
    for market, group, day, long, short, net, interest, notional, why in told:
        held = [cells[f"COT.{market}.{group}.{side}", str(day)] for side in ("LONG", "SHORT")]
        assert [long, short, interest] == [*held, cells[f"COT.{market}.OPEN_INTEREST", str(day)]]
        assert (net, notional, why) == (long - short, (long - short) * size[market], "short_history")


@pytest.mark.parametrize(
    ("day", "known"),
    [
        ("2026-01-20", "2026-01-23T20:30:00Z"),  # a Tuesday is known on Friday, 15:30 in New York
        ("2026-01-13", "2026-01-20T20:30:00Z"),  # the last of the backlog of the autumn's lapse
        ("2025-11-10", "2025-12-12T20:30:00Z"),  # a Monday, for the Tuesday was a holiday, and a month late
        ("2018-12-24", "2019-02-01T20:30:00Z"),
    ],
)
def test_a_report_is_known_when_it_came_out(ask, day: str, known: str) -> None:
    """Never on its Tuesday; the weeks that were held back have the Commission's own dates."""
    told = ask("select distinct known_from, vintage_kind from warehouse.marts.fct_observation where source_id = 'cftc' "
               "and event_date = $1 and series_id = 'COT.BTC.LEV_MONEY.SHORT'", day)  # fmt: skip
    assert told == [(datetime.fromisoformat(known), "pseudo")]


def test_the_first_screen_tells_who_holds_what(ask) -> None:
    """A line a market, from the newest report."""
    told = ask("select headline, value, unit, grade from warehouse.marts.mart_daily_brief "
               "where headline like 'Leveraged funds%' order by headline_no")  # fmt: skip
    assert told == [
        (f"Leveraged funds in {market} futures on the CME, 2026-01-20", Decimal(net), "contract", "A")
        for market, net in (("JPY", -37120), ("BTC", -7710), ("ETH", -3170))
    ]
