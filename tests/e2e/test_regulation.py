"""Options on funds and the limits of their rules, from landed pages to the facts, now and as of an instant before."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from tests.e2e.declared import built, home, take_in

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "sources" / "cases"
NOW = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
THURSDAY, FRIDAY = date(2026, 1, 29), date(2026, 1, 30)
SEEN = {day: datetime(2026, 1, day.day + 1, 11, 30, tzinfo=UTC) for day in (THURSDAY, FRIDAY)}
EVENING, MORNING = (datetime(2026, 1, day, hour, 30, tzinfo=UTC) for day, hour in ((30, 22), (31, 12)))
CITING = """\
SR-TEST-2026-01#a,2026-01-29,SR-TEST-2026-01,Of a release,noticed,,,,,,,,,,,2026-01-29T16:00:00Z,sec,transcription,\
https://www.sec.gov/newsroom/press-releases/2026-18-sec-charges-adviser,made for a test
SR-TEST-2026-01#b,2026-01-29,SR-TEST-2026-01,Of a report,filed,,,,,,,,,,,2026-01-29T16:00:00Z,press,report,\
https://press.example.org/boj-holds?ref=a,made for a test
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory):
    """A warehouse in which two mornings' counts of IBIT have landed, and lists of documents in between: rows of a
    statement, now or as of the evening before the second."""
    settings = home(tmp_path_factory.mktemp("regulation"), NOW)
    pipeline.land(settings, "curated", "fund_listing", run_id="curated")
    counted = (CASES / "occ" / "options_ibit__ordinary.csv").read_bytes()
    filed = counted.replace(b"\t25000000\r\n", b"\t2500000\r\n").replace(b"\t990\t", b"\t1000\t")
    stated = (ROOT / "include/sources/events/curated_rows/rule_status.csv").read_bytes() + CITING.encode()
    for source_id, feed, at, page in (
        ("curated", "rule_status", SEEN[THURSDAY], stated),
        ("occ", "options_ibit", SEEN[THURSDAY], counted),
        ("sec", "press_releases", EVENING, (CASES / "sec" / "press_releases__ordinary.xml").read_bytes()),
        ("occ", "options_ibit", SEEN[FRIDAY], filed),
        ("sec", "press_releases", MORNING, (CASES / "sec" / "press_releases__retitled.xml").read_bytes()),
        ("gdelt", "articles", MORNING, (CASES / "gdelt" / "articles__ordinary.json").read_bytes()),
    ):
        assert take_in(settings, source_id, feed, at, page) == "LANDED"
    made = {None: built(settings, "now"), EVENING: built(settings, "then", EVENING)}

    def ask(sql: str, then: datetime | None = None) -> list[tuple]:
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
    assert facts(OPEN, EVENING) == [thursday]


def test_the_limit_that_is_applied_stands_beside_that_of_the_order_in_effect(facts) -> None:
    """The order of 2024 set 25,000 contracts: 25,000,000 shares contradict it, 2,500,000 are it."""
    sql = """select limit_value, limit_unit, limit_applied, limit_applied_unit, limit_applied_on, limit_status
             from marts.fct_regulatory_event where event_id = 'SR-ISE-2024-03#34-101128'"""
    order = (Decimal(25_000), "contract")
    assert facts(sql) == [(*order, Decimal(2_500_000), "share", FRIDAY, "agree")]
    assert facts(sql, EVENING) == [(*order, Decimal(25_000_000), "share", THURSDAY, "conflict")]


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


LISTED = "select title, published_at, grade, known_from from marts.fct_document where source_id = 'sec' order by 2"


def test_a_new_title_of_a_release_is_known_from_when_it_was_read(facts) -> None:
    """A release is public since its stamp, which dates what nobody watched; a title that was put later keeps the old
    stamp and is not read into the past."""
    stamps = [datetime(2026, 1, 29, 15, 30, tzinfo=UTC), datetime(2026, 1, 30, 21, 5, 12, tzinfo=UTC)]
    charged = ("SEC Charges Adviser With Misleading Clients & Investors", stamps[0], "A", stamps[0])
    title = "SEC Announces Agenda for Roundtable on Position Limits for Options on Crypto Exchange-Traded Products"
    assert facts(LISTED, EVENING) == [charged, (title, stamps[1], "A", EVENING)]
    assert facts(LISTED) == [charged, (f"{title}, Corrected", stamps[1], "A", MORNING)]


def test_a_report_leads_to_a_page_and_to_no_figure(facts) -> None:
    """Articles are of grade D and without a day of publication; no figure and no event is taken from a list."""
    found = "select title, subjects, grade, published_at, known_from from marts.fct_document where source_id = 'gdelt' order by event_at"
    holds, mints, outflows = facts(found)
    assert holds == (
        "Bank of Japan holds rates , one member dissents",
        "policy",
        "D",
        None,
        datetime(2026, 1, 23, 3, 15, tzinfo=UTC),
    )
    assert mints[1:] == ("stablecoin", "D", None, MORNING)
    assert outflows[1:] == ("BTC, fund", "D", None, MORNING)
    assert facts(found, EVENING) == [holds]
    for table in ("fct_observation", "dim_event", "fct_security_incident"):
        assert facts(f"select count(*) from marts.{table} where source_id in ('gdelt', 'sec')") == [(0,)]


def test_what_a_stated_row_cites_is_found_among_the_releases_alone(facts) -> None:
    """A rule is told by its register and by people; a landed release is what their row points to, a report never is."""
    cited = """select event_id, doc.title from marts.fct_regulatory_event as event
               left join marts.fct_document as doc on event.cited_doc_sha256 = doc.doc_sha256
               where rule_id = 'SR-TEST-2026-01' order by event_id"""
    release = "SEC Charges Adviser With Misleading Clients & Investors"
    assert facts(cited) == [("SR-TEST-2026-01#a", release), ("SR-TEST-2026-01#b", None)]
