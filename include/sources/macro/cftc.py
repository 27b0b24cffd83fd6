"""CFTC, Traders in Financial Futures, futures only: who held CME futures on bitcoin, ether and the yen, in contracts.

Positions are those of a Tuesday and are released on the third business day after, 15:30 in New York: a Friday, or a
Monday in a week with a holiday between. Weeks that a lapse of the government's funding held back have their own dates.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from include.core.page import page
from include.core.parse import day, member, not_after, number, read_json, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

NEW_YORK = ZoneInfo("America/New_York")
MARKETS = {  # by the Commission's code: our subject, and how the market's name begins
    "133741": ("BTC", "BITCOIN - "),
    "146021": ("ETH", "ETHER CASH SETTLED - "),
    "097741": ("JPY", "JAPANESE YEN - "),
}
# Dealers' columns end in `_all`, the other groups' do not, and both are of all dates of delivery.
COLUMNS = {"OPEN_INTEREST": "open_interest_all"} | {
    f"{group}.{side}": f"{group.lower()}_positions_{side.lower()}{end}"
    for group, end in (("DEALER", "_all"), ("ASSET_MGR", ""), ("LEV_MONEY", ""))
    for side in ("LONG", "SHORT", "SPREAD")
}
MOST = 5000  # rows that one answer may hold
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T00:00:00\.000", re.ASCII)
# The Commission's catch-up schedules of 31 January 2019 and 18 November 2025: the first report that each dates, and the
# days on which it and those of the weeks after it came out.
_HELD_BACK = {
    "2018-12-24": "2019-02-01 02-05 02-08 02-12 02-15 02-19 02-22 02-26 03-01 03-05",
    "2025-09-30": "2025-11-19 11-21 11-25 12-02 12-05 12-09 12-12 12-16 12-19 12-23 12-30",
    "2025-12-16": "2026-01-06 01-09 01-13 01-16 01-20",
}


def _came_out() -> Iterator[tuple[date, datetime]]:
    for first, days in _HELD_BACK.items():
        for week, month_day in enumerate(days[5:].split()):
            at = datetime.fromisoformat(f"{days[:4]}-{month_day}T15:30").replace(tzinfo=NEW_YORK)
            yield date.fromisoformat(first) + timedelta(weeks=week), at.astimezone(UTC)


# By week: where the Tuesday is a holiday, its report is of the Monday.
CAME_OUT = {tuesday.isocalendar()[:2]: at for tuesday, at in _came_out()}


def requests(window: Window) -> list[Request]:
    """One call for the three markets, newest report first."""
    codes = ",".join(f"'{code}'" for code in MARKETS)
    where = (
        f"cftc_contract_market_code in({codes}) and report_date_as_yyyy_mm_dd >= '{window.start}T00:00:00' "
        f"and report_date_as_yyyy_mm_dd < '{window.end}T00:00:00'"
    )
    order = "report_date_as_yyyy_mm_dd DESC"
    return [Request("/resource/gpe5-46if.json", (("$where", where), ("$order", order), ("$limit", str(MOST))))]


def parse(payload: Payload) -> Parsed:
    """Long, short and spread of three groups, and open interest, by market and report. Raises `ContractError`."""
    items = member(read_json(payload.body), None, list)
    if not items:
        raise refuse("no reports", "G1.empty")
    if len(items) >= MOST:
        raise refuse(f"{MOST} rows or more: the answer is cut", "G1.truncated", "ask for a shorter window")
    limit = payload.seen_at.astimezone(NEW_YORK).date()
    rows = [row for item in items for row in _report(item, limit)]
    return page("observation", rows, [row.event_date for row in rows])


def _report(item: dict, limit: date) -> Iterator[Observation]:
    subject, name = MARKETS.get(member(item, "cftc_contract_market_code", str), ("", ""))
    if not subject or not member(item, "market_and_exchange_names", str).startswith(name):
        raise refuse(f"a market that was not asked for: {item['cftc_contract_market_code'][:20]!r}", "G1.token")
    if item.get("futonly_or_combined", "FutOnly") != "FutOnly":
        raise refuse("options are counted among the futures", "G1.token")
    stamp = _STAMP.fullmatch(member(item, "report_date_as_yyyy_mm_dd", str))
    event_date = not_after(day(stamp[1] if stamp else "", "%Y-%m-%d"), limit, "a report of")
    for measure, column in COLUMNS.items():
        raw = member(item, column, str)
        value = number(raw)
        if value < 0:
            raise refuse(f"{column} of {subject} on {event_date} is {raw[:40]}", "G1.sign")
        yield Observation(series_id=f"COT.{subject}.{measure}", event_date=event_date, value=value, unit="contract",
                          value_raw=raw, locator=f"market={subject} row={event_date} col={column}",
                          claimed_known_at=CAME_OUT.get(event_date.isocalendar()[:2]))  # fmt: skip


SOURCE = Source(
    source_id="cftc",
    title="CFTC: Traders in Financial Futures, futures only",
    base_url="https://publicreporting.cftc.gov",
    lineage_root="cftc",
    evidence_kind="origin",
    rank=1,
    licence="public domain (US government)",
    credit="U.S. Commodity Futures Trading Commission, Commitments of Traders",
    verified="recorded",
    key_env="CFTC_APP_TOKEN",
    key_header="X-App-Token",
    feeds=(
        Feed(
            name="tff", kind="WINDOW", clock="positioning", shape="observation", media="json", parse=parse,
            restates="window", release=Release("FEDWIRE", 3, "15:30", "America/New_York"), requests=requests,
            first_history_days=1200, every_s=6 * 3600,
        ),
    ),
)  # fmt: skip
