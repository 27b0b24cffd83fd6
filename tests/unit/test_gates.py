"""The guard on generated tables: extremes pass, wrong units and signs do not, and what is held is what is wrong."""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from include.core.calendars import is_open
from include.warehouse.gates import Report, as_table
from include.warehouse.guard import Flow, Level, judge_flows, judge_levels
from include.warehouse.suites import HOLDING, MARTS, PROFILES, checks_of, profile_sql

FUNDS = ("IBIT", "FBTC", "GBTC", "ARKB", "BITB", "HODL", "BTCW")
SIZE = dict(zip(FUNDS, (180, 90, 60, 30, 25, 4, 0.8), strict=True))  # usual flow, millions
DAYS = [d for n in range(330) if is_open("NYSE", d := date(2024, 6, 3) + timedelta(days=n))]
MILLION = Decimal(1_000_000)


def table(seed: int, source_id: str = "farside") -> list[Flow]:
    """A fund table with heavy tails, many zeros and printed totals, complete on every session."""
    rng, out = random.Random(seed), []
    for day in DAYS:
        flows = {f: Decimal(round(rng.choice([0, 1, 1]) * rng.gauss(0, 1) * SIZE[f], 1)) for f in FUNDS}
        flows = {f: v.quantize(Decimal("0.1")) for f, v in flows.items()}
        if rng.random() < 0.05:  # a small fund's day of days: eleven times anything before, and more than it owns
            flows["BTCW"] = Decimal(str(round(SIZE["BTCW"] * 30, 1)))
        cells = {**flows, "TOTAL": sum(flows.values())}
        out += [
            Flow(event_date=day, asset="BTC", source_id=source_id, feed="btc", series_id=f"ETF_FLOW.BTC.{ticker}",
                 ticker=ticker, event_at=None, value=value * MILLION, obs_status="final",
                 aum=None if ticker == "TOTAL" else Decimal(int(SIZE[ticker] * 20)) * MILLION,
                 is_listed=ticker != "TOTAL", n_listed=len(FUNDS), is_closed=False, is_stale=False)
            for ticker, value in cells.items()
        ]  # fmt: skip
    return out


def held(cells: list[Flow]) -> set[tuple[date, str]]:
    """What the guard would hold."""
    return {(cell.event_date, cell.ticker) for cell, _, _ in judge_flows(cells)}


def change(cells: list[Flow], which: Callable[[Flow], bool], factor: Decimal | int) -> list[Flow]:
    """The table with some cells multiplied."""
    return [replace(c, value=c.value * factor) if which(c) else c for c in cells]


@pytest.mark.parametrize("seed", range(5))
def test_genuine_extremes_are_never_held(seed: int) -> None:
    """Complete or not, with assets known or not."""
    cells = table(seed)
    assert held(cells) == set()
    assert held([replace(c, aum=None) for c in cells]) == set()
    assert held([c for c in cells if (c.ticker, c.event_date.day) != ("IBIT", 13)]) == set()


@pytest.mark.parametrize("factor", [10**3, 10**6, -1])
def test_one_wrong_cell_is_the_cell_that_is_held(factor: int) -> None:
    """A unit or a sign of one fund, or of the total, found by the total that does not add up."""
    rng, cells = random.Random(19), table(1)
    moved = [c for c in cells if abs(c.value) > 3 * MILLION and c.event_date > DAYS[60]]
    for bad in rng.sample([c for c in moved if c.ticker != "TOTAL"], 12):
        assert held(change(cells, lambda c, bad=bad: c is bad, factor)) == {(bad.event_date, bad.ticker)}
    for bad in rng.sample([c for c in moved if c.ticker == "TOTAL"], 6) if factor > 0 else ():
        assert held(change(cells, lambda c, bad=bad: c is bad, factor)) == {(bad.event_date, "TOTAL")}


def test_a_row_with_every_sign_turned_is_held_whole() -> None:
    """Funds against a total that was left alone: no cell of the row can be told from another."""
    cells = table(2)
    for day in random.Random(20).sample(DAYS[60:], 8):
        turned = change(cells, lambda c, day=day: c.event_date == day and c.ticker != "TOTAL", -1)
        assert held(turned) == {(day, ticker) for ticker in (*FUNDS, "TOTAL")}


def test_a_page_in_another_unit_is_held_and_teaches_nothing() -> None:
    """Three weeks printed in thousands, total and all: each row is held, and none after them."""
    cells, span = table(3), set(DAYS[160:175])
    assert {day for day, _ in held(change(cells, lambda c: c.event_date in span, 1000))} == span
    assert {day for day, _ in held(change(cells, lambda c: c.event_date in span, 10**6))} == span


def test_another_lineage_tells_which_side_is_wrong() -> None:
    """A total that its funds contradict is held alone where another lineage has the funds' sum."""
    cells, day = table(4), DAYS[100]
    total = next(c for c in cells if c.event_date == day and c.ticker == "TOTAL")
    second = replace(total, source_id="sosovalue", feed="history_btc", value=total.value + 40_000)
    wrong = replace(total, value=total.value + 90 * MILLION)
    both = [wrong if c is total else c for c in cells]
    alone, told = held(both), list(judge_flows(_beside(both, second)))
    assert {day} == {d for d, _ in alone} and len(alone) > 1
    assert [(c.source_id, c.ticker, rule) for c, rule, _ in told] == [("farside", "TOTAL", "G5.reconciliation")]


def test_lineages_a_power_of_ten_apart_hold_the_one_that_its_past_contradicts() -> None:
    """A second total in thousands is held, the first one is not; two that merely differ are not held at all."""
    cells = table(5)
    total = next(c for c in cells if c.event_date > DAYS[90] and c.ticker == "TOTAL" and abs(c.value) > 40 * MILLION)
    for factor, expected in ((1000, ["sosovalue"]), (3, [])):
        second = replace(total, source_id="sosovalue", feed="history_btc", value=total.value * factor)
        assert [c.source_id for c, _, _ in judge_flows(_beside(cells, second))] == expected


def test_a_flow_on_a_closed_day_is_held_and_a_zero_is_not() -> None:
    """The nineteenth of January 2026 was a holiday."""
    cells = [replace(c, event_date=date(2026, 1, 19), is_closed=True) for c in table(6) if c.event_date == DAYS[3]]
    expected = {(date(2026, 1, 19), c.ticker) for c in cells if c.value}
    assert expected and held(cells) == expected
    assert {rule for _, rule, _ in judge_flows(cells)} == {"G8.closed_day"}


def test_a_session_with_a_withheld_cell_is_not_reconciled() -> None:
    """The version that stands in for a held one belongs to another print of the row."""
    cells, day = table(7), DAYS[120]
    cells = [replace(c, is_stale=True) if c.event_date == day else c for c in cells]
    bad = next(c for c in cells if c.event_date == day and c.ticker == "IBIT" and c.value)
    assert held(change(cells, lambda c: c is bad, -1)) == set()


def rates(seed: int, start: str, steps: int = 500) -> list[Level]:
    """A yield that drifts by a few basis points a day, through zero if it gets there."""
    rng, value, out = random.Random(seed), Decimal(start), []
    for n in range(steps):
        value += Decimal(rng.randint(-60, 60)) / 1000
        out.append(Level(series_id="YIELD.JP.2Y", event_date=date(2024, 1, 1) + timedelta(days=n), event_at=None,
                         source_id="mof", feed="jgbcm", value=value, obs_status="final", measure="rate",
                         unit="percent", sign="any"))  # fmt: skip
    return out


@pytest.mark.parametrize(("seed", "start"), [(1, "4.2"), (2, "1.284"), (3, "0.02"), (4, "-0.2"), (5, "0.75")])
def test_rates_may_go_anywhere_by_steps(seed: int, start: str) -> None:
    """Near and below zero a ratio says nothing, and nothing is held."""
    assert list(judge_levels(rates(seed, start))) == []


@pytest.mark.parametrize("factor", [Decimal(100), Decimal("0.01"), Decimal(1000)])
@pytest.mark.parametrize("first", [0, 200, 470])
def test_percent_for_basis_points_is_held_for_as_long_as_it_lasts(factor: Decimal, first: int) -> None:
    """Thirty days in another unit are thirty findings, within a series and at its end; at its start, a few."""
    good = rates(6, "4.2")
    span = range(first, first + (5 if first == 0 else 30))
    bad = [replace(r, value=r.value * factor) if n in span else r for n, r in enumerate(good)]
    assert [r.event_date for r, _, _ in judge_levels(bad)] == [good[n].event_date for n in span]


@pytest.mark.parametrize(("value", "rule"), [("0", "G5.sign"), ("-156.2", "G5.sign"), ("15620", "G5.magnitude"),
                                             ("0.1562", "G5.magnitude"), ("140.0", ""), ("78.1", "")])  # fmt: skip
def test_prices_are_positive_and_in_one_unit(value: str, rule: str) -> None:
    """A halved price is news; a hundredth of it, zero or less is not a price."""
    series = [replace(r, series_id="FX.USDJPY.NOON_NY", value=Decimal("156.2"), measure="price", unit="jpy_per_usd",
                      sign="positive") for r in rates(7, "1", 30)]  # fmt: skip
    series[25] = replace(series[25], value=Decimal(value))
    assert [(r.event_date, found) for r, found, _ in judge_levels(series)] == [
        (series[25].event_date, rule) for _ in [1] if rule
    ]


def test_a_stock_may_grow_a_hundredfold() -> None:
    """A fund that starts with another's assets is not held; a negative stock is."""
    series = [replace(r, series_id="AUM.BTC.BTC", value=Decimal(1_800_000_000 if n else 18_000_000), measure="stock",
                      unit="usd", sign="positive") for n, r in enumerate(rates(8, "1", 30))]  # fmt: skip
    assert list(judge_levels(series)) == []
    series[9] = replace(series[9], value=Decimal(-1))
    assert [rule for _, rule, _ in judge_levels(series)] == ["G5.sign"]


def test_every_check_can_be_told_from_every_other() -> None:
    """Rule ids begin with a rule of the gate, names are sentences, and a profile's checks have its query."""
    for suite in (*PROFILES, *MARTS):
        checks = checks_of(suite)
        assert all(re.fullmatch(r"G(?:[1-9]|10)\.[a-z_]+", c.rule_id) for c in checks)
        assert len({(c.rule_id, c.name) for c in checks}) == len(checks)
        assert checks[0].expectation == "expect_table_row_count_to_be_between" or MARTS[suite].may_be_empty
    for suite in PROFILES.keys() - {"mart"}:
        made = [c.arguments["column"] for c in PROFILES[suite] if "column" in c.arguments and c.outcome != "hold"]
        assert all(f" as {column}" in profile_sql(suite) for column in made)
    assert set(HOLDING) == {"G5.magnitude", "G5.lineage", "G5.reconciliation", "G5.sign", "G8.closed_day",
                            "G9.mass_revision", "G9.withdrawn", "G10.copy"}  # fmt: skip


def test_a_report_counts_and_shows_what_did_not_pass() -> None:
    """One line for the counts, and one for each row that is not a pass."""
    row = {"run_id": "r", "rule_id": "G2.late", "check_name": "on_time", "subject": "mof/jgbcm", "evidence": "2 of 9"}
    report = Report([row | {"outcome": "label"}, row | {"outcome": "pass"}], [], 2)
    assert (report.refused, report.n_labels) == (False, 1)
    assert as_table(report) == ["2 expectations evaluated: 1 pass, 1 label, 0 hold, 0 refuse",
                                "label  G2.late           mof/jgbcm: on_time: 2 of 9"]  # fmt: skip
    assert Report([row | {"outcome": "refuse"}], [], 1).refused


def _beside(cells: list[Flow], second: Flow) -> list[Flow]:
    return sorted([*cells, second], key=lambda c: (c.event_date, c.asset, c.source_id))
