"""Ministry of Finance, Japan: the JGB constant-maturity curve at the Tokyo close, percent, semi-annual compounding.

Two files of one measurement: the Japanese file of the current month (era dates, daily) and the English history
(Gregorian dates, refreshed monthly). Both are cp932. Where they disagree the current file wins.
"""

import re
from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

from include.core.page import Wide
from include.core.parse import columns, day, decode, read_csv, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source

TENORS = (*range(1, 11), 15, 20, 25, 30, 40)
# An era's first year is 1; a day is written in the era in which it lies, so each day has one spelling.
ERAS = {
    "R": (2018, date(2019, 5, 1), date.max),
    "H": (1988, date(1989, 1, 8), date(2019, 4, 30)),
    "S": (1925, date(1926, 12, 25), date(1989, 1, 7)),
}
_ERA_DAY = re.compile(r"([RHS])(\d{1,2})\.(\d{1,2})\.(\d{1,2})", re.ASCII)


def era_day(text: str) -> date:
    """`R8.1.23` as 2026-01-23. A day outside its era is refused."""
    found = _ERA_DAY.fullmatch(text.strip())
    if found:
        before, first, last = ERAS[found[1]]
        try:
            event_date = date(before + int(found[2]), int(found[3]), int(found[4]))
        except ValueError:
            event_date = date.min
        if first <= event_date <= last:
            return event_date
    raise refuse(f"not a day of a Japanese era: {text[:40]!r}", "G1.date")


def parse_current(payload: Payload) -> Parsed:
    """The current month. Raises `ContractError`."""
    return _parse(payload, "国債金利情報", "基準日", "{}年", era_day)


def parse_history(payload: Payload) -> Parsed:
    """Every day since 1974 up to the end of some recent month. Raises `ContractError`."""
    return _parse(payload, "Interest Rate", "Date", "{}Y", lambda text: day(text, "%Y/%m/%d"))


def _parse(payload: Payload, title: str, date_title: str, tenor_title: str, read_day: Callable[[str], date]) -> Parsed:
    text = decode(payload.body, "cp932")
    lines = read_csv(text, closed=True)
    if len(lines) < 2 or not text.startswith(title) or "%" not in "".join(lines[0]):
        raise refuse(f"the first line is not {title!r} with its unit", "G1.title")
    header = lines[1]
    at = columns(header, {"day": date_title} | {f"YIELD.JP.{n}Y": tenor_title.format(n) for n in TENORS})
    day_at = at.pop("day")
    table = Wide(unit="percent", absent=frozenset("-"), read_day=read_day,
                 limit=payload.seen_at.astimezone(ZoneInfo("Asia/Tokyo")).date())  # fmt: skip
    return table.read(header, _data(lines[2:]), day_at, {position: series for series, position in at.items()})


def _data(lines: list[list[str]]) -> list[list[str]]:
    """The lines before the first blank one. After it only a footnote in a single cell is known."""
    end = next((n for n, line in enumerate(lines) if not any(cell.strip() for cell in line)), len(lines))
    if any(sum(bool(cell.strip()) for cell in line) > 1 for line in lines[end:]):
        raise refuse("data after the end of the table", "G1.layout")
    return lines[:end]


RELEASE = Release("JP_BANK", 1, "00:30")
SOURCE = Source(
    source_id="mof",
    title="Ministry of Finance, Japan: JGB interest rates",
    base_url="https://www.mof.go.jp",
    lineage_root="mof",
    evidence_kind="origin",
    rank=1,
    licence="Government of Japan Standard Terms of Use 2.0",
    credit="Ministry of Finance, Japan",
    verified="recorded",
    feeds=(
        Feed(
            name="jgbcm", kind="WINDOW", clock="rates", shape="observation", media="csv", parse=parse_current,
            restates="window", release=RELEASE, rank=1, expects=("YIELD.JP.2Y", "YIELD.JP.10Y"),
            requests=lambda window: [Request("/jgbs/reference/interest_rate/jgbcm.csv")],
        ),
        Feed(
            name="jgbcme_all", kind="WINDOW", clock="rates", shape="observation", media="csv", parse=parse_history,
            restates="window", release=RELEASE, every_s=20 * 3600,
            requests=lambda window: [
                Request("/english/policy/jgbs/reference/interest_rate/historical/jgbcme_all.csv")
            ],
        ),
    ),
)  # fmt: skip
