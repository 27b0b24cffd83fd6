"""DefiLlama: supply of dollar stablecoins on all chains and on Ethereum, one coin a feed, a point a UTC day.

Supply is in coins of the token (`totalCirculating`), so that a price off its peg is not read as issuance; the value in
dollars (`totalCirculatingUSD`) is a series of its own. Tokens that an issuer has authorised and not issued are not in
either. The chart is always whole, and its history is refilled when an adapter is corrected.

What circulates on one chain leaves out what bridges carried away, which no contract there states. So of Ethereum it is
read what was minted, the scope of `totalSupply()`. The service counts it from the same contracts, and prints it in
dollars and without what is unreleased.
"""

from collections.abc import Iterator
from datetime import UTC, date
from decimal import Decimal
from functools import partial

from include.core.page import page, settled
from include.core.parse import CONTEXT, above_zero, member, number, read_json, refuse, utc_day
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

# The service's own numbers of the coins. It knows hundreds more, and symbols there are not unique.
COINS = {"USDT": "1", "USDC": "2", "DAI": "5", "USDe": "146"}
MEASURES = (("SUPPLY", "totalCirculating", "coin"), ("SUPPLY_USD", "totalCirculatingUSD", "usd"))
MINTED = ("totalMintedUSD", "totalCirculating", "totalCirculatingUSD", "totalUnreleased")
CENT = Decimal("0.01")  # of a coin; beyond it is what the service's floats leave


def requests(coin: str, chain: str, _: Window) -> list[Request]:
    """The whole chart of one coin."""
    return [Request(f"/stablecoincharts/{chain}", (("stablecoin", COINS[coin]),))]


def parse(coin: str, chain: str, payload: Payload) -> Parsed:
    """Supply of each day that is over. Coins pegged to anything but the dollar are refused. Raises `ContractError`."""
    points = ((utc_day(_stamp(item)), item) for item in member(read_json(payload.body), None, list))
    over = settled(points, payload.seen_at.astimezone(UTC).date())
    read = _point if chain == "all" else partial(_minted, chain)
    rows = [row for day, item in over for row in read(coin.upper(), day, item)]
    if not rows:
        raise refuse(f"no supply of {coin}", "G1.empty")
    return page("observation", rows, [day for day, _ in over])


def _stamp(item: object) -> str | int:
    """The stamp: served as text, and documented as a number."""
    stamp = member(item, "date", object)
    return stamp if isinstance(stamp, str) else member(item, "date", int)


def _dollars(symbol: str, day: date, key: str, pegged: dict) -> Decimal | int | None:
    """The member for coins that are pegged to the dollar; None where the service has no reading."""
    if strange := sorted(set(pegged) - {"peggedUSD"}):
        raise refuse(f"{key} of {symbol} on {day} is told in {strange[0][:20]!r}", "G1.token")
    return pegged.get("peggedUSD")


def _point(symbol: str, day: date, item: dict) -> Iterator[Observation]:
    for family, key, unit in MEASURES:
        pegged = member(item, key, dict) if key in item or family == "SUPPLY" else {}
        raw = _dollars(symbol, day, key, pegged)
        if raw is None:
            continue
        value = number(raw)
        if value < 0:
            raise refuse(f"{key} of {symbol} is {raw}", "G1.sign")
        yield Observation(series_id=f"{family}.{symbol}", event_date=day, value=value, unit=unit, value_raw=str(raw),
                          locator=f"row={day} key={key}.peggedUSD")  # fmt: skip


def _minted(chain: str, symbol: str, day: date, item: dict) -> Iterator[Observation]:
    """Coins minted on one chain: what is told in dollars at the day's price, and what is not released. The service
    writes 0 where it knows nothing of a chain: that is no reading."""
    printed = [_dollars(symbol, day, key, member(item, key, dict)) for key in MINTED]
    if None in printed:
        return
    minted_usd, coins, dollars, unreleased = figures = [number(n) for n in printed]
    if min(figures) < 0:
        raise refuse(f"{symbol} on {day} is less than nothing", "G1.sign")
    if 0 in (minted_usd, coins, dollars):
        return
    if not coins / 10 <= dollars <= coins * 10:
        raise refuse(f"{coins} {symbol} are {dollars} dollars", "G1.range")
    minted = (CONTEXT.divide(CONTEXT.multiply(minted_usd, coins), dollars) + unreleased).quantize(CENT, context=CONTEXT)
    value = above_zero(minted, f"the supply of {symbol} on {day}")
    yield Observation(series_id=f"SUPPLY.{symbol}.{chain.upper()}", event_date=day, value=value, unit="coin",
                      value_raw=" ".join(map(str, printed)), locator=f"row={day} keys={','.join(MINTED)}",
                      measurement_root="ethereum")  # fmt: skip


def _feed(coin: str, chain: str = "all") -> Feed:
    suffix = "" if chain == "all" else f"_{chain.lower()}"
    return Feed(
        name=coin.lower() + suffix, kind="WINDOW", clock="onchain", shape="observation", media="json",
        parse=partial(parse, coin, chain), restates="window", release=Release("UTC247", 1, "01:00"), revises=True,
        requests=partial(requests, coin, chain), expects=(f"SUPPLY.{coin.upper()}{suffix.replace('_', '.').upper()}",),
    )  # fmt: skip


SOURCE = Source(
    source_id="defillama_stablecoins",
    title="DefiLlama: supply of stablecoins",
    base_url="https://stablecoins.llama.fi",
    lineage_root="defillama",
    evidence_kind="compilation",
    rank=3,
    licence="open data with attribution, no licence text found; commercial volume is a paid plan",
    credit="DefiLlama",
    verified="recorded",
    feeds=tuple(_feed(coin, chain) for chain in ("all", "Ethereum") for coin in COINS),
)
