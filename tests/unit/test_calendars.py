"""Row 36: no false gap and no false session, five years and more, by two independent calendars."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from include.core.calendars import (
    BOJ_MEETINGS,
    CALENDARS,
    add_business_days,
    closures,
    is_open,
    released_at,
    sessions,
)
from include.core.source import Release
from include.landing import land
from include.landing.store import Store, attempt_of
from include.settings import Settings
from include.sources import registry


@pytest.mark.parametrize(("calendar", "differ"), [("NYSE", set()), ("TSE", {date(2020, 10, 1)})])
def test_row_36_two_libraries_name_the_same_sessions(calendar: str, differ: set[date]) -> None:
    """Exchange schedule against holiday list, 2019 to 2027; the one difference is the Tokyo outage of 2020."""
    span = [date.fromordinal(n) for n in range(date(2019, 1, 1).toordinal(), date(2027, 12, 31).toordinal())]
    scheduled = {s["session_date"] for s in sessions(calendar)}
    assert {day for day in span if (day in scheduled) != is_open(calendar, day)} - {date(2025, 1, 9)} <= differ


def test_days_that_only_one_market_knows() -> None:
    """Martin Luther King day, Coming of Age day, Good Friday, the Japanese New Year, CME's holiday hours."""
    mlk, adults, friday = date(2026, 1, 19), date(2026, 1, 12), date(2025, 4, 18)
    assert [is_open(c, mlk) for c in ("NYSE", "JP_BANK", "CME")] == [False, True, True]
    assert [is_open(c, adults) for c in ("NYSE", "JP_BANK", "TSE")] == [True, False, False]
    assert [is_open(c, friday) for c in ("NYSE", "SIFMA_US", "FEDWIRE")] == [False, False, True]
    assert not any(is_open("JP_BANK", day) for day in (date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2)))


@pytest.mark.parametrize("calendar", CALENDARS)
def test_row_35_one_session_a_day_whatever_the_clocks_do(calendar: str) -> None:
    """Exactly one session a business day, opening before it closes, across every change of daylight time."""
    found = sessions(calendar)
    days = [s["session_date"] for s in found]
    assert len(days) == len(set(days))
    assert all(s["open_at"] < s["close_at"] for s in found)
    assert all(s["open_at"].utcoffset().total_seconds() == 0 for s in found)
    assert calendar == "UTC247" or not set(closures(calendar)) & set(days) - {date(2025, 1, 9)}


def test_half_days_and_release_instants() -> None:
    """Christmas Eve closes at 18:00Z; a release keeps New York's clock through winter and summer."""
    eve = next(s for s in sessions("NYSE") if s["session_date"] == date(2025, 12, 24))
    assert (eve["close_at"], eve["is_half_day"]) == (datetime(2025, 12, 24, 18, tzinfo=UTC), True)
    effr = Release("FEDWIRE", 1, "09:00", "America/New_York")
    assert released_at(effr, date(2026, 1, 16)) == datetime(2026, 1, 20, 14, tzinfo=UTC)
    assert released_at(effr, date(2026, 7, 2)) == datetime(2026, 7, 3, 13, tzinfo=UTC)
    assert add_business_days("JP_BANK", date(2025, 12, 30), 1) == date(2026, 1, 5)


def test_a_statement_is_asked_for_every_five_minutes_on_the_days_of_the_banks_meetings(tmp_path: Path) -> None:
    """Hourly else; on every day of the list the bank is open."""
    source = registry()["boj_policy"]
    feed = source.feed("statement")
    meeting, other = datetime(2026, 9, 18, 3, 30, tzinfo=UTC), datetime(2026, 9, 17, 3, 30, tzinfo=UTC)
    store = Store(tmp_path)
    for at in (other, meeting):
        settings = Settings(warehouse_home=tmp_path, clock=at)
        assert land._due(settings, store, source, feed)
        store.append([attempt_of("boj_policy", "statement", "r", at, at,
                                 vintage_kind="first_seen", origin="t", outcome="EMPTY_OK")])  # fmt: skip
        after = {n: settings.model_copy(update={"clock": at + timedelta(minutes=n)}) for n in (0, 5, 54, 55)}
        due = {n: land._due(later, store, source, feed) for n, later in after.items()}
        assert due == {0: False, 5: at == meeting, 54: at == meeting, 55: True}
    assert all(is_open("JP_BANK", day) for day in BOJ_MEETINGS)
