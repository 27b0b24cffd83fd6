"""Decision features hold what was known at the instant, and no more.

A row is compared with a warehouse built as of its event, which knows nothing later; and a page that is taken in
afterwards changes no row of an event before it.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from include import connect
from include.replay import PACK_CLOCK
from include.settings import Settings
from tests.e2e.declared import built
from tests.e2e.test_time_machine import base, take_in
from tests.e2e.vintages import Saved, pages

EVENTS = {
    "BOJ.2026-01-23": datetime(2026, 1, 23, 3, 7, tzinfo=UTC),
    "FOMC.2026-01-28": datetime(2026, 1, 28, 19, 0, tzinfo=UTC),
    "FOMC.2025-10-29": datetime(2025, 10, 29, 18, 0, tzinfo=UTC),
}
FEATURE = "select series_id, source_id, reading_date, value, known_from from marts.mart_decision_feature"
CURRENT = """
    select o.series_id, o.source_id, s.evidence_kind as source_kind, s.rank, o.evidence_kind, o.event_date, o.event_at,
        o.value, o.known_from
    from marts.fct_observation as o inner join marts.dim_source as s on o.source_id = s.source_id
    where o.known_to is null and o.value is not null and o.obs_status not in ('held', 'retracted')
"""
BELIEVED = ("origin", "measurement", "compilation", "transcription")  # in this order; a report has no place


def newest(rows: list[dict]) -> dict[str, tuple]:
    """By series, the newest reading of the best source, chosen here in Python."""
    best: dict[str, tuple] = {}
    for row in rows:
        if row["evidence_kind"] not in BELIEVED:
            continue
        period = row["event_at"] or datetime.combine(row["event_date"], datetime.min.time(), UTC)
        place = (-period.timestamp(), BELIEVED.index(row["evidence_kind"]), row["rank"], row["source_id"])
        told = (row["series_id"], row["source_id"], row["event_date"], row["value"], row["known_from"])
        if row["series_id"] not in best or place < best[row["series_id"]][0]:
            best[row["series_id"]] = (place, told)
    return {series: told for series, (_, told) in best.items()}


def test_no_row_became_known_after_its_event(pack_home: Path) -> None:
    """Every event with an instant has its series, and nothing in a row is later than the event."""
    with connect(home=pack_home) as door:
        rows = door.table("mart_decision_feature").rows()
        events = door.sql("select event_id from marts.dim_event where event_at <= $at", at=PACK_CLOCK).rows()
    assert {r["event_id"] for r in rows} == {r["event_id"] for r in events} > EVENTS.keys()
    assert len(rows) > 500
    assert [r for r in rows if r["known_from"] > r["event_at"]] == []
    assert {r["obs_status"] for r in rows} == {"final", "reported_zero", "partial"}


@pytest.mark.parametrize("event_id", EVENTS)
def test_a_row_is_what_a_warehouse_built_at_the_instant_says(pack_home: Path, event_id: str) -> None:
    """All series: the newest reading in a build as of the event is the feature in today's, and that build's own."""
    at = EVENTS[event_id]
    with connect(home=pack_home) as today, connect(at, home=pack_home) as then:
        features = today.sql(f"{FEATURE} where event_id = $event", event=event_id).rows()
        readings = then.sql(CURRENT).rows()
        own, later = (door.sql("from marts.mart_decision_feature where event_at <= $at order by all", at=at)
                      for door in (then, today))  # fmt: skip
        totals = then.sql("""select 'ETF_FLOW.' || asset || '.TOTAL' as series_id, session_date, net_flow_usd, obs_status
            from marts.fct_etf_flow_agg_daily where net_flow_usd is not null
            qualify row_number() over (partition by asset order by session_date desc) = 1""").rows()  # fmt: skip
        told = {r["series_id"]: r for r in today.sql("from marts.mart_decision_feature where event_id = $event",
                                                     event=event_id).rows()}  # fmt: skip
    assert len(features) > 45
    assert {f["series_id"]: tuple(f.values()) for f in features} == newest(readings)
    assert own.arrow().equals(later.arrow())
    assert totals
    for total in totals:
        row = told[total["series_id"]]
        assert (row["reading_date"], row["obs_status"]) == (total["session_date"], total["obs_status"])
        assert abs(row["value"] - total["net_flow_usd"]) <= 100_000  # printed to a tenth of a million


def test_the_bank_of_japan_decided_on_a_partial_total(pack_home: Path) -> None:
    """10 of 11 funds had reported: the printed -9.8 m is no session's flow yet, as the press conference could see."""
    sql = """select kind, value, obs_status, age_hours, period_age_days from marts.mart_decision_feature
        where event_id like 'BOJ.2026-01-23%' and series_id = 'ETF_FLOW.BTC.TOTAL' order by event_at"""
    with connect(home=pack_home) as door:
        assert [tuple(r.values()) for r in door.sql(sql).rows()] == [
            ("DECISION", -9_800_000, "partial", Decimal("1.11"), 1),
            ("PRESSER", -32_200_000, "final", Decimal("1.49"), 1),
        ]


@pytest.fixture(scope="module")
def before_and_after(pack_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple], list[tuple]]:
    """All features of a landing, and of the same landing after a stranger's dated pages of the Ether table came in."""
    settings = base(pack_home, tmp_path_factory.mktemp("features"))
    return features_of(settings, "before", []), features_of(settings, "after", pages())


def features_of(settings: Settings, run_id: str, late: list[Saved]) -> list[tuple]:
    for saved in late:
        take_in(settings, saved.seen_at, saved.body)
    made = built(settings, run_id, only=("mart_decision_feature",))
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute("select event_at, * from marts.mart_decision_feature order by all").fetchall()


def test_what_is_taken_in_later_changes_no_earlier_event(before_and_after) -> None:
    """Rows of events before the first page stand to the byte, though the pages restate days before it."""
    before, after = before_and_after
    first = min(saved.seen_at for saved in pages())
    assert min(min(saved.shown) for saved in pages()) < date(2025, 12, 31) < first.date()
    kept = [[row for row in rows if row[0] < first] for rows in (before, after)]
    assert kept[0] == kept[1]
    assert len(kept[0]) > 200
    assert before != after  # and of those after it, some do change
