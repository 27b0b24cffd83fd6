"""European Central Bank: euro reference rates of the yen and the dollar, and the USD/JPY cross that follows from them.

The cross is yen per euro over dollars per euro of the same day, rounded half to even to four decimals, one more than
its five printed digits hold; both legs stand in `value_raw`. They are agreed at 14:15 and published at about 16:00
Central European time, so the cross is never equal to a rate of another hour.
"""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from include.core.page import page
from include.core.parse import CONTEXT, above_zero, refuse, unique
from include.core.sdmx import readings
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

FIXING = {"CURRENCY_DENOM": "EUR", "EXR_TYPE": "SP00", "EXR_SUFFIX": "A", "UNIT_MULT": "0"}
STEP = Decimal("0.0001")


def requests(window: Window) -> list[Request]:
    """One call for both currencies. A window without a business day is answered with 404."""
    last = window.end - timedelta(days=1)
    span = (("startPeriod", window.start.isoformat()), ("endPeriod", last.isoformat()))
    return [Request("/service/data/EXR/D.JPY+USD.EUR.SP00.A", (*span, ("format", "csvdata")))]


def parse(payload: Payload) -> Parsed:
    """The cross of each day of which both legs are printed. Raises `ContractError`, also where one leg lacks a day."""
    limit = payload.seen_at.astimezone(ZoneInfo("Europe/Berlin")).date()
    cells = []
    for line in readings(payload.body, ("CURRENCY", *FIXING), limit):
        if any(line.of[name] != text for name, text in FIXING.items()) or line.of["CURRENCY"] not in ("JPY", "USD"):
            raise refuse(f"a rate that was not asked for: {line.of['CURRENCY'][:20]!r}", "G1.token")
        cells.append(((line.day, line.of["CURRENCY"]), line.raw))
    legs: dict[date, dict[str, str | None]] = defaultdict(dict)
    for (day, currency), raw in unique(cells).items():
        legs[day][currency] = raw
    if any(len(leg) != 2 for leg in legs.values()):
        raise refuse("yen and dollar do not cover the same days", "G1.truncated")
    rows = [_cross(day, leg["JPY"], leg["USD"]) for day, leg in legs.items() if leg["JPY"] and leg["USD"]]
    if not rows:
        raise refuse("no day has both legs", "G1.empty")
    return page("observation", rows, legs)


def _cross(day: date, jpy: str, usd: str) -> Observation:
    yen, dollars = above_zero(jpy, f"yen per euro of {day}"), above_zero(usd, f"dollars per euro of {day}")
    value = CONTEXT.quantize(CONTEXT.divide(yen, dollars), STEP)
    return Observation(series_id="FX.USDJPY.ECB", event_date=day, unit="jpy_per_usd", locator=f"row={day} JPY/USD",
                       value=value, value_raw=f"{jpy} JPY / {usd} USD")  # fmt: skip


SOURCE = Source(
    source_id="ecb",
    title="European Central Bank: euro foreign exchange reference rates",
    base_url="https://data-api.ecb.europa.eu",
    lineage_root="ecb",
    evidence_kind="origin",
    rank=1,
    licence="ECB: reuse free with attribution; reference rates are for information only",
    credit="European Central Bank, euro foreign exchange reference rates",
    verified="documented",
    feeds=(
        Feed(
            name="exr", kind="WINDOW", clock="rates", shape="observation", media="csv", parse=parse,
            restates="window", release=Release("TARGET", 0, "16:00", "Europe/Berlin"), requests=requests,
            expects=("FX.USDJPY.ECB",),
        ),
    ),
)  # fmt: skip
