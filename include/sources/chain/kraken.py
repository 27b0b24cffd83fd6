"""Kraken: the last trade of each UTC day in US dollars, from daily OHLC rows.

A call answers with the newest 720 rows whatever it asks for, prices as text. The last row is the uncommitted one of
the current day. Errors come with HTTP 200, in the list `error`.
"""

from datetime import UTC, datetime, time, timedelta
from functools import partial

from include.core.page import daily_closes
from include.core.parse import member, read_json, refuse, utc_day
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

PAIRS = {"BTC": ("XBTUSD", "XXBTZUSD"), "ETH": ("ETHUSD", "XETHZUSD"), "SOL": ("SOLUSD", "SOLUSD")}  # asked, answered


def parse(asset: str, payload: Payload) -> Parsed:
    """Closes of one asset. Raises `ContractError`."""
    answer = read_json(payload.body)
    if errors := member(answer, "error", list):
        raise refuse(f"error: {str(errors[0])[:80]}", "G1.api_error", "wait")
    cells = []
    for row in member(member(answer, "result", dict), PAIRS[asset][1], list):
        if not isinstance(row, list) or len(row) != 8:
            raise refuse("a row is not [time, open, high, low, close, vwap, volume, count]", "G1.columns")
        cells.append((asset, utc_day(row[0]), member(row[4], None, str)))
    uncommitted = max((day for _, day, _ in cells), default=None)
    today = payload.seen_at.astimezone(UTC).date()
    return daily_closes([c for c in cells if c[1] < uncommitted or c[1] > today], today)


def requests(asset: str, window: Window) -> list[Request]:
    """Rows after `since`, which is exclusive."""
    since = datetime.combine(window.start - timedelta(days=1), time(0), UTC)
    span = (("pair", PAIRS[asset][0]), ("interval", "1440"), ("since", str(int(since.timestamp()))))
    return [Request("/0/public/OHLC", span)]


def _feed(asset: str) -> Feed:
    return Feed(
        name=f"ohlc_{asset.lower()}", kind="WINDOW", clock="onchain", shape="observation", media="json",
        parse=partial(parse, asset), restates="window", release=Release("UTC247", 1, "00:05"),
        requests=partial(requests, asset),
    )  # fmt: skip


SOURCE = Source(
    source_id="kraken",
    title="Kraken: daily OHLC",
    base_url="https://api.kraken.com",
    lineage_root="kraken",
    evidence_kind="measurement",
    rank=2,
    licence="public market data under Kraken's terms of service; no licence text found",
    credit="Kraken",
    verified="documented",
    feeds=tuple(_feed(asset) for asset in PAIRS),
)
