"""Options on funds and the limits of their rules, from landed pages to the facts, now and as of an instant before."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from tests.e2e.declared import built, home, take_in

CASES = Path(__file__).parents[1] / "sources" / "cases"
NOW = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
THURSDAY, FRIDAY = date(2026, 1, 29), date(2026, 1, 30)
SEEN = {day: datetime(2026, 1, day.day + 1, 11, 30, tzinfo=UTC) for day in (THURSDAY, FRIDAY)}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory):
    """A warehouse in which two mornings' counts of IBIT have landed: rows of a statement, now or as of the first."""
    settings = home(tmp_path_factory.mktemp("regulation"), NOW)
    for feed in ("fund_listing", "rule_status"):
        pipeline.land(settings, "curated", feed, run_id="curated")
    counted = (CASES / "occ" / "options_ibit__ordinary.csv").read_bytes()
    filed = counted.replace(b"\t25000000\r\n", b"\t2500000\r\n").replace(b"\t990\t", b"\t1000\t")
    assert take_in(settings, "occ", "options_ibit", SEEN[THURSDAY], counted) == "LANDED"
    assert take_in(settings, "occ", "options_ibit", SEEN[FRIDAY], filed) == "LANDED"
    made = {None: built(settings, "now"), THURSDAY: built(settings, "then", SEEN[THURSDAY])}

    def ask(sql: str, then: date | None = None) -> list[tuple]:
        with duckdb.connect(str(made[then].path / "warehouse.duckdb"), read_only=True) as con:
            return con.execute(sql).fetchall()

    return ask


OPEN = """
    select instrument_kind, instrument, event_date, call_contracts, put_contracts, oi_native, oi_unit, oi_usd_reason,
        oi_change_native, oi_convention, source_id, grade, known_from
    from marts.fct_derivative_oi_daily where venue = 'OCC' order by event_date"""


def test_options_are_of_the_session_before_the_morning_that_counts_them(facts) -> None:
    """Calls and puts of the case; ten calls more on Friday are a thousand shares; nothing of Friday is known before."""
    kind = ("option", "IBIT")
    said = ("share", "no net asset value of the session")
    thursday = (*kind, THURSDAY, 5362, 2782, 814400, *said, None, "one_side", "occ", "A", SEEN[THURSDAY])
    friday = (*kind, FRIDAY, 5372, 2782, 815400, *said, 1000, "one_side", "occ", "A", SEEN[FRIDAY])
    assert facts(OPEN) == [thursday, friday]
    assert facts(OPEN, THURSDAY) == [thursday]


def test_the_limit_that_is_applied_stands_beside_that_of_the_order_in_effect(facts) -> None:
    """The order of 2024 set 25,000 contracts: 25,000,000 shares contradict it, 2,500,000 are it."""
    sql = """select limit_value, limit_unit, limit_applied, limit_applied_unit, limit_applied_on, limit_status
             from marts.fct_regulatory_event where event_id = 'SR-ISE-2024-03#34-101128'"""
    order = (Decimal(25_000), "contract")
    assert facts(sql) == [(*order, Decimal(2_500_000), "share", FRIDAY, "agree")]
    assert facts(sql, THURSDAY) == [(*order, Decimal(25_000_000), "share", THURSDAY, "conflict")]


def test_the_first_screen_tells_options_apart_from_perpetuals(facts) -> None:
    """One line, of the newest session, that says that it is not to be added up."""
    sql = """select headline, value, unit, value_text, unusual, reading from marts.mart_daily_brief
             where headline like 'Options on %'"""
    reading = (
        "one side counted, 100 shares a contract; not to be added to perpetuals; no net asset value of the session"
    )
    assert facts(sql) == [
        ("Options on IBIT, a fund of BTC, 2026-01-30", Decimal(815_400), "share", "5372 calls and 2782 puts open",
         "+1000 shares on the session before", reading)
    ]  # fmt: skip
