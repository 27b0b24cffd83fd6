"""Federal Reserve Bank of New York: effective federal funds rate, with the target range that its rows carry, percent.

The rate is the Bank's own; the range is the Board's, re-served. The row of a meeting day still shows the old range:
the new one is effective, and appears, on the next business day.
"""

from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from include.core.page import page
from include.core.parse import day, member, not_after, number, read_json, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

# Until then the target was a single rate, and a row may name one end of the range only.
FIRST_RANGE = date(2008, 12, 16)


def requests(window: Window) -> list[Request]:
    """One call: the service's `endDate` is inclusive, the window's end is not."""
    last = window.end - timedelta(days=1)
    span = (("startDate", window.start.isoformat()), ("endDate", last.isoformat()))
    return [Request("/api/rates/unsecured/effr/search.json", span)]


def parse(payload: Payload) -> Parsed:
    """Rate and range of each business day. A rate may be missing, but not on every row. Raises `ContractError`."""
    limit = payload.seen_at.astimezone(ZoneInfo("America/New_York")).date()
    rows: list[Observation] = []
    days = []
    for item in member(read_json(payload.body), "refRates", list):
        if member(item, "type", str) != "EFFR":
            raise refuse(f"a row of type {item['type'][:20]!r} among EFFR", "G1.token")
        event_date = not_after(day(member(item, "effectiveDate", str), "%Y-%m-%d"), limit, "a row of")
        days.append(event_date)
        rows += _row(item, event_date)
    if not any(row.series_id == "RATE.US.EFFR" for row in rows):
        raise refuse("no row has a rate", "G1.empty")
    return page("observation", rows, days)


def _row(item: dict, event_date: date) -> list[Observation]:
    lower, upper = _range(item, event_date)
    cells = [("EFFR", "percentRate", item.get("percentRate"), {})]
    board = {"lineage_root": "frb", "evidence_kind": "transcription"}
    cells += [("TARGET_LOWER", "targetRateFrom", lower, board), ("TARGET_UPPER", "targetRateTo", upper, board)]
    return [
        Observation(series_id=f"RATE.US.{name}", event_date=event_date, value=number(value), unit="percent",
                    value_raw=str(value), locator=f"row={event_date} col={key}", **origin)
        for name, key, value, origin in cells
        if value is not None
    ]  # fmt: skip


def _range(item: dict, event_date: date) -> tuple[int | Decimal, int | Decimal]:
    lower, upper = item.get("targetRateFrom"), item.get("targetRateTo")
    if event_date < FIRST_RANGE:
        lower, upper = upper if lower is None else lower, lower if upper is None else upper
    elif lower is None or upper is None:
        raise refuse(f"no target range on {event_date}", "G1.columns")
    elif number(lower) > number(upper):
        raise refuse(f"the target range of {event_date} is upside down", "G1.identity")
    return lower, upper


SOURCE = Source(
    source_id="nyfed",
    title="Federal Reserve Bank of New York: effective federal funds rate",
    base_url="https://markets.newyorkfed.org",
    lineage_root="nyfed",
    evidence_kind="origin",
    rank=1,
    licence="New York Fed terms of use for reference rates: attribution, no endorsement",
    credit="Federal Reserve Bank of New York",
    verified="recorded",
    feeds=(
        Feed(
            name="effr", kind="WINDOW", clock="rates", shape="observation", media="json", parse=parse,
            restates="window", release=Release("FEDWIRE", 1, "09:00", "America/New_York"), requests=requests,
            expects=("RATE.US.EFFR", "RATE.US.TARGET_LOWER", "RATE.US.TARGET_UPPER"),
        ),
    ),
)  # fmt: skip
