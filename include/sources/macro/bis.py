"""Bank for International Settlements: central bank policy rates of Japan and the United States, percent a year, daily.

The Bank curates what the central banks announce, so both are transcriptions that check the origin. Where the target is
a band, its middle is printed. Days without a reading (weekends, holidays) are `NaN`. Refreshed weekly, midweek. The
service announced that it will end version 1 of its interface, which still answers where version 2 does not.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

from include.core.page import page
from include.core.parse import number, refuse
from include.core.sdmx import Reading, readings
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

SERIES = {"JP": ("RATE.JP.POLICY", "boj"), "US": ("RATE.US.POLICY_MID", "frb")}
PERCENT_A_YEAR = ("368", "0")  # code of the unit, power of ten


def requests(window: Window) -> list[Request]:
    """One call for both areas. Without areas and a start it would be the whole world since 1946."""
    last = window.end - timedelta(days=1)
    span = (("startPeriod", window.start.isoformat()), ("endPeriod", last.isoformat()))
    return [Request("/api/v1/data/WS_CBPOL/D.JP+US/all", (("format", "csv"), *span))]


def parse(payload: Payload) -> Parsed:
    """Both rates by day. Raises `ContractError`."""
    limit = payload.seen_at.astimezone(ZoneInfo("Asia/Tokyo")).date()
    rows: list[Observation] = []
    days = []
    for line in readings(payload.body, ("REF_AREA", "UNIT_MEASURE", "UNIT_MULT"), limit):
        days.append(line.day)
        rows += _row(line)
    if not rows:
        raise refuse("no day has a rate", "G1.empty")
    return page("observation", rows, days)


def _row(line: Reading) -> list[Observation]:
    area = line.of["REF_AREA"]
    if area not in SERIES:
        raise refuse(f"an area that was not asked for: {area[:20]!r}", "G1.token")
    if (line.of["UNIT_MEASURE"], line.of["UNIT_MULT"]) != PERCENT_A_YEAR:
        raise refuse(f"the rate of {area} is not in percent a year", "G1.unit")
    if line.raw is None:
        return []
    series_id, root = SERIES[area]
    return [Observation(series_id=series_id, event_date=line.day, value=number(line.raw), unit="percent",
                        value_raw=line.raw, locator=f"area={area} row={line.day}", lineage_root=root)]  # fmt: skip


SOURCE = Source(
    source_id="bis",
    title="Bank for International Settlements: central bank policy rates",
    base_url="https://stats.bis.org",
    lineage_root="bis",
    evidence_kind="transcription",
    rank=4,
    licence="BIS terms of permitted use: free with attribution, without implied endorsement",
    credit="Bank for International Settlements, central bank policy rates",
    verified="recorded",
    feeds=(
        Feed(
            name="cbpol", kind="WINDOW", clock="rates", shape="observation", media="csv", parse=parse,
            restates="window", release=Release("UTC247", 2, "12:00", "Europe/Zurich", 3), requests=requests,
            every_s=20 * 3600,
        ),
    ),
)  # fmt: skip
