"""Business days and market sessions. NYSE and TSE hours are exchange_calendars'; closures are holidays'."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from include.core.source import Release

FIRST, LAST = date(2015, 1, 1), date(2030, 12, 31)
CALENDARS = ("NYSE", "TSE", "JP_BANK", "SIFMA_US", "FEDWIRE", "TARGET", "CME", "UTC247")

# Trading or settlement hours of calendars that have no exchange schedule: local open, local close, zone.
_HOURS = {
    "JP_BANK": ("08:30", "15:30", "Asia/Tokyo"),
    "SIFMA_US": ("08:00", "17:00", "America/New_York"),
    "FEDWIRE": ("09:00", "19:00", "America/New_York"),
    "TARGET": ("07:00", "18:00", "Europe/Berlin"),
    "CME": ("00:00", "16:00", "America/Chicago"),
}
# Own dated rows: CME cryptocurrency futures keep Globex hours on these US holidays, with an early halt.
_CME_OPEN_HOLIDAYS = ("Martin Luther King", "Presidents", "Washington", "Memorial", "Juneteenth", "Independence",
                      "Labor", "Thanksgiving")  # fmt: skip

# Last days of the Bank of Japan's policy meetings by its published schedule: a year's rows are added when it is out.
# A statement on a day without a row is found within the hour all the same.
BOJ_MEETINGS = frozenset(
    date.fromisoformat(day)
    for day in ("2026-01-23", "2026-03-19", "2026-04-28", "2026-06-16", "2026-07-31", "2026-09-18", "2026-10-30",
                "2026-12-18")
)  # fmt: skip


@cache
def closures(calendar: str) -> dict[date, str]:
    """Weekdays on which `calendar` is closed, with the holiday's name."""
    import holidays

    years = range(FIRST.year - 1, LAST.year + 2)
    if calendar == "UTC247":
        return {}
    if calendar == "JP_BANK":
        named = holidays.country_holidays("JP", years=years, categories=("public", "bank"))
    elif calendar == "CME":
        own = holidays.financial_holidays("NYSE", years=years)
        named = {d: n for d, n in own.items() if not any(word in n for word in _CME_OPEN_HOLIDAYS)}
    else:
        code = {"NYSE": "NYSE", "TSE": "JPX", "SIFMA_US": "XSIF", "FEDWIRE": "FED", "TARGET": "ECB"}[calendar]
        named = holidays.financial_holidays(code, years=years)
    return {d: n for d, n in dict(named).items() if d.weekday() < 5}


def is_open(calendar: str, day: date) -> bool:
    """Whether `day` is a business day (a session) of `calendar`."""
    return calendar == "UTC247" or (day.weekday() < 5 and day not in closures(calendar))


def add_business_days(calendar: str, day: date, n: int) -> date:
    """The n-th open day strictly after `day` (n = 0: `day` itself)."""
    while n > 0:
        day += timedelta(days=1)
        n -= is_open(calendar, day)
    return day


@cache
def released_at(release: Release, day: date) -> datetime:
    """The instant (UTC) at which `day` is declared to be public."""
    when = add_business_days(release.calendar, day, release.days)
    while release.weekday is not None and when.weekday() != release.weekday:
        when += timedelta(days=1)
    local = datetime.combine(when, time.fromisoformat(release.at), tzinfo=ZoneInfo(release.zone))
    return local.astimezone(UTC)


def sessions(calendar: str) -> list[dict]:
    """Every open day from 2015 to 2030: session_date, open_at, close_at (UTC), is_half_day."""
    if calendar in ("NYSE", "TSE"):
        import exchange_calendars

        name = {"NYSE": "XNYS", "TSE": "XTKS"}[calendar]
        schedule = exchange_calendars.get_calendar(name, start=FIRST.isoformat(), end=LAST.isoformat())
        early = set(schedule.early_closes.date)
        return [
            _session(calendar, day.date(), row.open.to_pydatetime(), row.close.to_pydatetime(), day.date() in early)
            for day, row in schedule.schedule.iterrows()
        ]
    days = (FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1))
    if calendar == "UTC247":
        midnight = [datetime.combine(d, time(0), tzinfo=UTC) for d in days]
        return [_session(calendar, m.date(), m, m + timedelta(days=1), False) for m in midnight]
    start, end, zone = _HOURS[calendar]
    out = []
    for day in days:
        if is_open(calendar, day):
            bounds = [datetime.combine(day, time.fromisoformat(t), tzinfo=ZoneInfo(zone)) for t in (start, end)]
            out.append(_session(calendar, day, bounds[0].astimezone(UTC), bounds[1].astimezone(UTC), False))
    return out


def _session(calendar: str, day: date, opens: datetime, closes: datetime, half: bool) -> dict:
    return {"calendar": calendar, "session_date": day, "open_at": opens, "close_at": closes, "is_half_day": half}
