"""DefiLlama: circulating supply of dollar stablecoins on all chains, one coin a feed, a point a UTC day.

Supply is in coins of the token (`totalCirculating`), so that a price off its peg is not read as issuance; the value in
dollars (`totalCirculatingUSD`) is a series of its own. Tokens that an issuer has authorised and not issued are not in
either. The chart is always whole, and its history is refilled when an adapter is corrected.
"""

from collections.abc import Iterator
from datetime import UTC, date
from functools import partial

from include.core.page import page, settled
from include.core.parse import member, number, read_json, refuse, utc_day
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

# The service's own numbers of the coins. It knows hundreds more, and symbols there are not unique.
COINS = {"USDT": "1", "USDC": "2", "DAI": "5", "USDe": "146"}
MEASURES = (("SUPPLY", "totalCirculating", "coin"), ("SUPPLY_USD", "totalCirculatingUSD", "usd"))


def requests(coin: str, _: Window) -> list[Request]:
    """The whole chart of one coin."""
    return [Request("/stablecoincharts/all", (("stablecoin", COINS[coin]),))]


def parse(coin: str, payload: Payload) -> Parsed:
    """Supply of each day that is over. Coins pegged to anything but the dollar are refused. Raises `ContractError`."""
    points = ((utc_day(_stamp(item)), item) for item in member(read_json(payload.body), None, list))
    over = settled(points, payload.seen_at.astimezone(UTC).date())
    rows = [row for day, item in over for row in _point(coin.upper(), day, item)]
    if not rows:
        raise refuse(f"no supply of {coin}", "G1.empty")
    return page("observation", rows, [day for day, _ in over])


def _stamp(item: object) -> str | int:
    """The stamp: served as text, and documented as a number."""
    stamp = member(item, "date", object)
    return stamp if isinstance(stamp, str) else member(item, "date", int)


def _point(symbol: str, day: date, item: dict) -> Iterator[Observation]:
    for family, key, unit in MEASURES:
        pegged = member(item, key, dict) if key in item or family == "SUPPLY" else {}
        if strange := sorted(set(pegged) - {"peggedUSD"}):
            raise refuse(f"{symbol} of {day} is told in {strange[0][:20]!r}", "G1.token")
        raw = pegged.get("peggedUSD")
        if raw is None:  # a day of which the service has no reading
            continue
        value = number(raw)
        if value < 0:
            raise refuse(f"{key} of {symbol} is {raw}", "G1.sign")
        yield Observation(series_id=f"{family}.{symbol}", event_date=day, value=value, unit=unit, value_raw=str(raw),
                          locator=f"row={day} key={key}.peggedUSD")  # fmt: skip


def _feed(coin: str) -> Feed:
    return Feed(
        name=coin.lower(), kind="WINDOW", clock="onchain", shape="observation", media="json",
        parse=partial(parse, coin), restates="window", release=Release("UTC247", 1, "01:00"), revises=True,
        requests=partial(requests, coin), expects=(f"SUPPLY.{coin.upper()}",),
    )  # fmt: skip


SOURCE = Source(
    source_id="defillama_stablecoins",
    title="DefiLlama: circulating supply of stablecoins",
    base_url="https://stablecoins.llama.fi",
    lineage_root="defillama",
    evidence_kind="compilation",
    rank=3,
    licence="open data with attribution, no licence text found; commercial volume is a paid plan",
    credit="DefiLlama",
    verified="recorded",
    feeds=tuple(_feed(coin) for coin in COINS),
)
