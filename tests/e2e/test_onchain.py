"""Facts on the chain, computed once more from the versions of the bundled record, in plain Python."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from include.answers import reader
from include.replay.record import figures

COINS = {"USDT", "USDC", "DAI", "USDE"}


@pytest.fixture(scope="module")
def ask(pack_home: Path) -> Iterator:
    """Rows of a statement on the served file."""
    with reader.connect(pack_home / "serve" / "warehouse.duckdb") as con:
        yield lambda sql: reader.query(con, sql).fetchall()


def test_issuance_is_the_difference_of_two_days_of_the_record(ask) -> None:
    """Every coin and day of the pack that was over: supply, issuance and the sum of five days, to the coin."""
    told = {
        (asset, day): row
        for asset, day, *row in ask(
            "select asset, event_date, supply_native, net_issuance_usd, net_issuance_5d_usd, grade "
            "from marts.fct_stablecoin_supply_daily where chain = 'all'"
        )
    }
    last = date(2026, 1, 30)  # of the last day there is no point after it yet
    expected: dict[tuple[str, date], list] = {}
    for coin in COINS:
        supply = {f.period: Decimal(f.value) for f in figures(f"defillama_stablecoins__{coin.lower()}")}
        issued = {day: supply[day] - supply[day - timedelta(1)] for day in supply if day - timedelta(1) in supply}
        for day in (d for d in supply if d <= last):
            five = [issued.get(day - timedelta(n)) for n in range(5)]
            expected[coin, day] = [supply[day], issued.get(day), None if None in five else sum(five), "C"]
    assert len(expected) == 4 * 183
    assert told == expected


def test_the_first_screen_sums_five_days_of_every_coin(ask) -> None:
    """26 to 30 January 2026: 3.4 billion dollars' worth of coins left."""
    (row,) = ask("select headline, value, grade, status from marts.mart_daily_brief where headline like 'Stablecoins%'")
    supply = [{f.period: Decimal(f.value) for f in figures(f"defillama_stablecoins__{c.lower()}")} for c in COINS]
    assert row[1] == sum(s[date(2026, 1, 30)] - s[date(2026, 1, 25)] for s in supply) == Decimal("-3372277492")
    assert (row[0], *row[2:]) == ("Stablecoins, net issuance of five days to 2026-01-30", "C", "final")


def test_value_locked_is_the_record_and_never_a_flow(ask) -> None:
    """Every day of the pack that was over, in dollars; without quantities there are no net deposits."""
    told = ask(
        "select event_date, tvl_usd, net_deposit_usd, deposit_reason from marts.fct_protocol_tvl_daily order by all"
    )
    record = [(f.period, Decimal(f.value), None, "no_quantities") for f in figures("defillama__tvl_all")]
    assert told == [row for row in record if row[0] <= date(2026, 1, 30)]


def test_a_liquidating_payout_is_no_yield(ask) -> None:
    """MilkyWay, January 2026: announced by the 15th, 92,708 dollars told by the press on the 22nd; nothing verified."""
    told = ask(
        "select event_date, distribution_kind, distribution_usd, distribution_yield, lifecycle_status, claim_status, "
        "grade, known_from::date from marts.fct_protocol_cashflow_daily where protocol = 'milkyway' order by 1"
    )
    common = (None, "winding_down", "unverified", "D")
    assert told == [
        (date(2026, 1, 14), "liquidating", None, *common, date(2026, 1, 15)),
        (date(2026, 1, 22), "liquidating", Decimal("92708.00"), *common, date(2026, 1, 23)),
    ]
