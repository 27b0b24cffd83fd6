"""Coinbase Exchange: the last trade of each UTC day in US dollars, from daily candles.

A candle is `[time, low, high, open, close, volume]`: low before high. The one of the current day is still open, a day
without trades has none, and more than 300 candles a call are refused.
"""

from collections.abc import Iterator
from datetime import UTC, timedelta
from functools import partial

from include.core.page import daily_closes
from include.core.parse import member, number, read_json, refuse, utc_day
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

MOST = 300  # candles a call


def parse(asset: str, payload: Payload) -> Parsed:
    """Closes of one asset. Raises `ContractError`; an error comes as an object with a `message`."""
    answer = read_json(payload.body)
    if isinstance(answer, dict) and "message" in answer:
        raise refuse(f"error: {str(answer['message'])[:80]}", "G1.api_error")
    cells = []
    for row in member(answer, None, list):
        if not isinstance(row, list) or len(row) != 6:
            raise refuse("a candle is not [time, low, high, open, close, volume]", "G1.columns")
        if number(row[1]) > number(row[2]):
            raise refuse(f"the low of {str(row[0])[:40]} is above its high", "G1.identity")
        cells.append((asset, utc_day(row[0]), row[4]))
    return daily_closes(cells, payload.seen_at.astimezone(UTC).date())


def requests(asset: str, window: Window) -> Iterator[Request]:
    """Calls of at most 300 days; `end` names the last candle wanted. Given alone, either bound would be ignored."""
    start = window.start
    while start < window.end:
        last = min(start + timedelta(days=MOST), window.end) - timedelta(days=1)
        span = (("granularity", "86400"), ("start", f"{start}T00:00:00Z"), ("end", f"{last}T00:00:00Z"))
        yield Request(f"/products/{asset}-USD/candles", span)
        start = last + timedelta(days=1)


def _feed(asset: str) -> Feed:
    return Feed(
        name=f"candles_{asset.lower()}", kind="WINDOW", clock="onchain", shape="observation", media="json",
        parse=partial(parse, asset), restates="window", release=Release("UTC247", 1, "00:05"),
        requests=partial(requests, asset), expects=(f"PRICE.{asset}.USD",),
    )  # fmt: skip


SOURCE = Source(
    source_id="coinbase",
    title="Coinbase Exchange: daily candles",
    base_url="https://api.exchange.coinbase.com",
    lineage_root="coinbase",
    evidence_kind="measurement",
    rank=1,
    licence="Coinbase market data terms: own use; redistribution needs a licence",
    credit="Coinbase Exchange",
    verified="documented",
    feeds=tuple(_feed(asset) for asset in ("BTC", "ETH", "SOL")),
)
