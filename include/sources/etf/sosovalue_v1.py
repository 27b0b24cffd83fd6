"""SoSoValue, supported interface: net flows of US spot ETFs by fund and session, US dollars. Needs a key.

The same compilation as the keyless one: of two answers of one house, the second is no second lineage. Documented as
bare lists, seen in an envelope with `code`; dates as text or as milliseconds. A call reaches one month back.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

from include.core.calendars import is_open
from include.core.page import page
from include.core.parse import day, epoch_ms, member, not_after, number, read_json, refuse, unique
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

FUNDS = {
    "BTC": ("IBIT", "FBTC", "BITB", "ARKB", "BTCO", "EZBC", "BRRR", "HODL", "BTCW", "GBTC", "BTC"),
    "ETH": ("ETHA", "FETH", "ETHW", "TETH", "ETHV", "QETH", "EZET", "ETHE", "ETH"),
}
CENTS = Decimal("0.05")  # by which a flow and the growth of a printed sum may differ


def parse(asset: str, payload: Payload) -> Parsed:
    """The total's rows, or one fund's, whose rows name it. `null` is no reading, and a zero on a closed day is none
    either. Raises `ContractError`."""
    answer = read_json(payload.body)
    if isinstance(answer, dict):
        if (code := member(answer, "code", int)) != 0 or isinstance(code, bool):
            raise refuse(f"error {code}: {str(answer.get('message'))[:80]}", "G1.api_error", "wait, or check the key")
        answer = member(answer, "data", object)
    limit = payload.seen_at.astimezone(ZoneInfo("America/New_York")).date()
    rows, days, sums = [], [], []
    for item in member(answer, None, list):
        days.append(not_after(_day(member(item, "date", object)), limit, "a session of"))
        ticker = member(item, "ticker", str) if "net_inflow" in item else "TOTAL"
        if ticker not in ("TOTAL", *FUNDS[asset]):
            raise refuse(f"a row of {ticker[:20]!r} among the funds of {asset}", "G1.token")
        key = "total_net_inflow" if ticker == "TOTAL" else "net_inflow"
        raw = member(item, key, object)
        if item.get("cum_net_inflow") is not None:
            sums.append((days[-1], number(item["cum_net_inflow"])))
        if raw is not None and ((value := number(raw)) or is_open("NYSE", days[-1])):
            rows.append(
                Observation(series_id=f"ETF_FLOW.{asset}.{ticker}", event_date=days[-1], value=value, unit="usd",
                            value_raw=str(raw), obs_status="final" if value else "reported_zero",
                            measurement_root="issuers", locator=f"row={days[-1]} col={ticker}")
            )  # fmt: skip
    if not days:
        raise refuse("an empty list", "G1.empty")
    return page("observation", _once(rows, unique(sums)) if sums else rows, days)


def _once(rows: list[Observation], sums: dict[date, Decimal]) -> Iterator[Observation]:
    """The rows of the total. A Friday has been seen in three of them, with three flows and one cumulative sum: the one
    by which the sum grew is its reading, which is the first, where the session before is not listed."""
    grown = {after: sums[after] - sums[before] for before, after in pairwise(sorted(sums))}
    told = defaultdict(list)
    for row in rows:
        told[row.event_date].append(row)
    for on, same in told.items():
        by = grown.get(on, same[0].value)
        yield from [row for row in same if abs(row.value - by) <= CENTS] or same


def _day(stamp: object) -> date:
    if isinstance(stamp, str):
        return day(stamp, "%Y-%m-%d")
    at = epoch_ms(member(stamp, None, int))
    if at != datetime(at.year, at.month, at.day, tzinfo=UTC):
        raise refuse(f"not the beginning of a day: {at}", "G1.date")
    return at.date()


def total(asset: str, _: Window) -> list[Request]:
    """The newest rows; bounds reach back one month only and are not sent."""
    what = (("symbol", asset), ("country_code", "US"), ("limit", "300"))
    return [Request("/openapi/v1/etfs/summary-history", what)]


def funds(asset: str, _: Window) -> list[Request]:
    """A call a fund."""
    return [Request(f"/openapi/v1/etfs/{ticker}/history", (("limit", "300"),)) for ticker in FUNDS[asset]]


def _feed(name: str, asset: str, requests: Callable) -> Feed:
    return Feed(
        name=f"{name}_{asset.lower()}", kind="WINDOW", clock="etf_flows", shape="observation", media="json",
        parse=partial(parse, asset), release=Release("UTC247", 1, "12:00"), revises=True, calendar="NYSE",
        # a page of one fund is silent about every other
        restates="window" if name == "history" else "none", every_s=4 * 3600, requests=partial(requests, asset),
        empty_ok="every session may be null: listed, and without a figure yet",
    )  # fmt: skip


SOURCE = Source(
    source_id="sosovalue_v1",
    title="SoSoValue: US spot ETF net inflow by fund (supported interface)",
    base_url="https://openapi.sosovalue.com",
    lineage_root="sosovalue",
    evidence_kind="compilation",
    rank=2,
    licence="SoSoValue API terms bind the holder of the key",
    credit="SoSoValue",
    verified="documented",
    min_interval_s=3.0,  # 20 calls a minute
    key_env="SOSOVALUE_API_KEY",
    key_header="x-soso-api-key",
    key_required=True,
    feeds=tuple(_feed(n, asset, ask) for asset in FUNDS for n, ask in (("history", total), ("funds", funds))),
)
