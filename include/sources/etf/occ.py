"""OCC series search: open interest in options on crypto funds, and the position limit that is in force.

Tab-separated text, a strike and an expiry a line. The labels stand one cell to the left of what they name, since two
tabs follow the root: cells are read by their place. Roots of adjusted series and of FLEX options carry a digit before
or after the symbol and are left out: their contracts are not 100 shares, or have no standard strike.

The text has no day. It counts the last session that was over the evening before, so it is asked, and believed, in the
hours of New York in which that is certain. The limit is in shares of the fund, 100 of them a contract: no document of
the OCC says so, it follows from 25,000,000 for a stock whose limit is 250,000 contracts.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from include.core.calendars import is_open
from include.core.page import page
from include.core.parse import above_zero, day, decode, number, refuse, unique
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

ZONE = ZoneInfo("America/New_York")
FUNDS = {
    "BTC": ("IBIT", "FBTC", "ARKB", "BITB", "GBTC", "BTC"),
    "ETH": ("ETHA", "FETH", "ETHW", "ETHE", "ETH"),
}  # fmt: skip
OVER = ["", "", "Series/contract", "", "Strike", "", "", "Open Interest"]
LABELS = ["ProductSymbol", "year", "Month", "Day", "Integer", "Dec", "C/P", "Call", "Put", "Position Limit", ""]
# Every class of options lists an expiry at least five months ahead, and expiries stand in their order: a list that was
# cut at the end of a line is told by what it lacks. A total over half a list would be a figure like any other.
LISTED_AHEAD = timedelta(days=150)
SURE = range(6, 16)  # hours of New York between the evening's count and the next close
_WHOLE = re.compile(r"\d{1,12}", re.ASCII)

Series = tuple[date, Decimal]  # expiry and strike
Cells = tuple[dict[str, str], str]  # open interest by side, and the limit, as printed


def parse(asset: str, symbol: str, payload: Payload) -> Parsed:
    """Calls and puts in contracts, each the total over all series, and the limit in shares. Raises `ContractError`."""
    at = payload.seen_at.astimezone(ZONE)
    if at.hour not in SURE:
        raise refuse(f"seen at {at:%H:%M} in New York, when it is not sure which session is counted", "G1.date",
                     f"take it between {SURE[0]:02}:00 and {SURE[-1]:02}:59 there")  # fmt: skip
    session = _session_before(at.date())
    series = unique(_series(symbol, _lines(symbol, decode(payload.body, "utf-8"))))
    if not series:
        raise refuse(f"no series of {symbol}", "G1.empty")
    if (furthest := max(expiry for expiry, _ in series)) - session < LISTED_AHEAD:
        raise refuse(f"no series expires after {furthest}: the list is cut off", "G1.truncated", "fetch it again")
    if len(limits := {limit for _, limit in series.values()}) != 1:
        raise refuse(f"{len(limits)} position limits of one root", "G1.identity")
    rows = []
    for side in ("CALL", "PUT"):
        total = sum(Decimal(counts[side]) for counts, _ in series.values())
        rows.append(
            Observation(series_id=f"OPTION_OI.{asset}.{symbol}.{side}", event_date=session, value=number(total),
                        unit="contract", value_raw=f"{total}", locator=f"root={symbol} {side} of {len(series)} series")
        )  # fmt: skip
    raw = limits.pop()
    limit = Observation(
        series_id=f"LIMIT.{asset}.{symbol}", event_date=session, value=above_zero(raw, "the position limit"),
        unit="share", value_raw=raw, locator=f"root={symbol} col=Position Limit", evidence_kind="transcription",
    )  # fmt: skip
    return page("observation", [*rows, limit], [session])


def _session_before(on: date) -> date:
    """The last NYSE session before a day."""
    on -= timedelta(days=1)
    return on if is_open("NYSE", on) else _session_before(on)


def _lines(symbol: str, text: str) -> list[list[str]]:
    """The cells of each line below the labels."""
    if not text.endswith("\r\n"):
        raise refuse("the last line is cut off", "G1.truncated")
    title, _, over, labels, *lines = [line.split("\t") for line in text.split("\r\n")[:-1]] + [[""]] * 4
    if title != [f"Series Search Results for {symbol}"] or over != OVER or labels != LABELS:
        raise refuse(f"not the series of {symbol}, or under other labels", "G1.columns")
    return [line for line in lines if line != [""]]


def _series(symbol: str, lines: list[list[str]]) -> Iterator[tuple[Series, Cells]]:
    roots = re.compile(rf"\d?{symbol}\d?")
    for cells in lines:
        if len(cells) != len(LABELS) or cells[1]:
            raise refuse(f"a line of {len(cells)} cells, or none empty behind the root", "G1.columns")
        root, _, year, month, on, whole, decimals, sides, calls, puts, limit = (cell.strip() for cell in cells)
        if not roots.fullmatch(root):
            raise refuse(f"a series of {root[:20]!r}", "G1.token")
        if root != symbol:
            continue
        counts = {"CALL": calls, "PUT": puts}
        if sides.split() not in (["C", "P"], ["C"], ["P"]):
            raise refuse(f"sides {sides[:20]!r}", "G1.token")
        if wrong := [text for text in (whole, decimals, calls, puts, limit) if not _WHOLE.fullmatch(text)]:
            raise refuse(f"not a whole number: {wrong[0][:40]!r}", "G1.sign" if wrong[0][:1] == "-" else "G1.type")
        if any(side[0] not in sides and int(count) for side, count in counts.items()):
            raise refuse(f"open interest on a side that {root} does not have", "G1.identity")
        if len(decimals) != 3:
            raise refuse(f"a strike with {len(decimals)} decimals", "G1.columns")
        yield (day(f"{year}-{month}-{on}", "%Y-%m-%d"), above_zero(f"{whole}.{decimals}", "a strike")), (counts, limit)


def requests(symbol: str, window: Window) -> list[Request]:
    """What is counted now, in the hours in which it is sure of which session that is."""
    params = (("symbolType", "U"), ("symbol", symbol))
    return [Request("/series-search", params)] if window.at.astimezone(ZONE).hour in SURE else []


SOURCE = Source(
    source_id="occ",
    title="OCC series search: open interest and position limits of options on crypto funds",
    base_url="https://marketdata.theocc.com",
    lineage_root="occ",
    evidence_kind="origin",
    rank=1,
    licence="OCC website terms of use: read them before you redistribute",
    credit="The Options Clearing Corporation",
    verified="recorded",
    min_interval_s=5.0,
    feeds=tuple(
        Feed(
            name=f"options_{symbol.lower()}", kind="SNAPSHOT", clock="etf_flows", shape="observation", media="csv",
            parse=partial(parse, asset, symbol), requests=partial(requests, symbol), restates="none",
            release=Release("NYSE", 1, "06:30", "America/New_York"), every_s=20 * 3600, min_rows=3,
        )
        for asset, symbols in FUNDS.items()
        for symbol in symbols
    ),
)  # fmt: skip
