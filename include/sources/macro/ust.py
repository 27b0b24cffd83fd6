"""U.S. Treasury: daily par yield curve, percent, at the New York close. One CSV a calendar year, newest day first.
An Atom feed a month has the same figures: another way to the same origin. Where both differ, the CSV is current.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from lxml import etree

from include.core.calendars import add_business_days, released_at
from include.core.page import Wide, page
from include.core.parse import columns, day, decode, ended, not_after, number, read_csv, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

PAGES = "/resource-center/data-chart-center/interest-rates"
PATH = f"{PAGES}/daily-treasury-rates.csv"
TENORS = ("1M", "1_5M", "2M", "3M", "4M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y")
RELEASE = Release("SIFMA_US", 0, "23:00")
NEW_YORK = ZoneInfo("America/New_York")
ATOM = "{http://www.w3.org/2005/Atom}"
ADO = "{http://schemas.microsoft.com/ado/2007/08/dataservices%s}"
NAMES = {f"BC_{tenor[:-1]}{'YEAR' if tenor.endswith('Y') else 'MONTH'}": f"YIELD.US.{tenor}" for tenor in TENORS}
# The labels mix `Mo`, `Month` and `Yr`.
_LABEL = re.compile(r"(\d+(?:\.\d+)?) (Mo|Month|Yr)", re.ASCII)


def requests(window: Window) -> Iterator[Request]:
    """The file of each calendar year that the window touches."""
    for year in range(window.start.year, (window.end - timedelta(days=1)).year + 1):
        yield Request(
            f"{PATH}/{year}/all",
            (("type", "daily_treasury_yield_curve"), ("field_tdr_date_value", str(year)), ("page", ""),
             ("_format", "csv")),
        )  # fmt: skip


def parse(payload: Payload) -> Parsed:
    """One year's curve. Columns that come and go are found by name; 2 and 10 years must be there."""
    text = decode(payload.body, "utf-8")
    lines = [line for line in read_csv(text) if line]
    if not lines:
        raise refuse("an empty file", "G1.empty")
    header = lines[0]
    series = _series(header)
    day_at = columns(header, {"day": "Date"})["day"]
    if len(lines) == 1 and _before_first_curve(payload):
        return Parsed()
    table = Wide(unit="percent", absent=frozenset({""}), read_day=lambda text: day(text, "%m/%d/%Y"),
                 limit=payload.seen_at.astimezone(NEW_YORK).date())  # fmt: skip
    return table.read(header, ended(text, lines[1:]), day_at, series)


def _series(header: list[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for at, label in enumerate(header):
        match = _LABEL.fullmatch(label.strip())
        tenor = f"{match[1].replace('.', '_')}{match[2][0]}" if match else ""
        if tenor in TENORS:
            found[at] = f"YIELD.US.{tenor}"
    ids = list(found.values())
    if len(set(ids)) != len(ids) or not {"YIELD.US.2Y", "YIELD.US.10Y"} <= set(ids):
        raise refuse("the 2 and 10 year columns do not stand once each in the header", "G1.columns")
    return found


def _before_first_curve(payload: Payload) -> bool:
    """Whether the payload was seen before the year's first curve is a day old."""
    year = payload.seen_at.astimezone(NEW_YORK).year
    first = add_business_days("SIFMA_US", date(year - 1, 12, 31), 1)
    return payload.seen_at < released_at(RELEASE, first) + timedelta(days=1)


def months(window: Window) -> Iterator[Request]:
    """The feed of each month that the window touches, once its first curve has been out for a day."""
    month, what = window.start.replace(day=1), ("data", "daily_treasury_yield_curve")
    while month < window.end:
        first = add_business_days("SIFMA_US", month - timedelta(days=1), 1)
        if released_at(RELEASE, first) + timedelta(days=1) <= window.at:
            yield Request(f"{PAGES}/pages/xml", (what, ("field_tdr_date_value_month", f"{month:%Y%m}")))
        month = (month + timedelta(days=31)).replace(day=1)


def parse_month(payload: Payload) -> Parsed:
    """One month's curve, an entry a day. 2 and 10 years must be there, and the day; a null is no reading."""
    text = decode(payload.body, "utf-8")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise refuse("a document type in a feed", "G1.doctype")
    try:
        root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.LxmlError:
        raise refuse("not XML", "G1.syntax") from None
    entries = [entry.find(f"{ATOM}content/{ADO % '/metadata'}properties") for entry in root.iter(f"{ATOM}entry")]
    if root.tag != f"{ATOM}feed" or None in entries:
        raise refuse("no feed of entries with properties", "G1.columns")
    if not entries:
        raise refuse("a feed without entries", "G1.empty")
    limit = payload.seen_at.astimezone(NEW_YORK).date()
    rows = [row for entry in entries for row in _entry(entry, limit)]
    return page("observation", rows, [row.event_date for row in rows])


def _entry(entry: etree._Element, limit: date) -> Iterator[Observation]:
    cells = list(entry.iterchildren(tag=etree.Element))
    names = [cell.tag.removeprefix(ADO % "") for cell in cells]
    at = columns(names, {"day": "NEW_DATE", "2Y": "BC_2YEAR", "10Y": "BC_10YEAR"})
    event_date = not_after(day(cells[at["day"]].text or "", "%Y-%m-%dT00:00:00"), limit, "an entry of")
    if len(set(names)) != len(names):
        raise refuse(f"a tenor stands twice in the entry of {event_date}", "G1.columns")
    for name, cell in zip(names, cells, strict=True):
        if name in NAMES and cell.get(f"{ADO % '/metadata'}null") != "true":
            raw = (cell.text or "").strip()
            yield Observation(series_id=NAMES[name], event_date=event_date, value=number(raw), unit="percent",
                              value_raw=raw, locator=f"row={event_date} col={name}")  # fmt: skip


SOURCE = Source(
    source_id="ust",
    title="U.S. Treasury: daily par yield curve rates",
    base_url="https://home.treasury.gov",
    lineage_root="ust",
    evidence_kind="origin",
    rank=1,
    licence="public domain (US government)",
    credit="U.S. Department of the Treasury",
    verified="recorded",
    feeds=(
        Feed(
            name="par_curve", kind="WINDOW", clock="rates", shape="observation", media="csv", parse=parse,
            restates="window", release=RELEASE, requests=requests, expects=("YIELD.US.2Y", "YIELD.US.10Y"),
            empty_ok="a year's file is empty until its first curve is out, in early January",
        ),
        Feed(
            name="par_curve_month", kind="WINDOW", clock="rates", shape="observation", media="xml", parse=parse_month,
            restates="window", release=RELEASE, requests=months, rank=-1, every_s=20 * 3600,
        ),
    ),
)  # fmt: skip
