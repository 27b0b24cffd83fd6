"""CoinGecko: the price in US dollars at the end of each UTC day; a compilation of many venues.

A daily point is stamped with midnight and closes the day before it. The last point is the price now, and no close
unless it is a midnight's. Public plans reach 365 days back.
"""

from datetime import UTC, date, timedelta
from functools import partial

from include.core.page import daily_closes
from include.core.parse import member, read_json, refuse, utc_day
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

COINS = {"BTC": "bitcoin", "ETH": "ethereum", "SOL": "solana"}
DAY_MS = 86_400_000
REACH = 365  # days


def parse(asset: str, payload: Payload) -> Parsed:
    """Closes of one asset. Raises `ContractError`; an error comes as `status` or as `error`."""
    answer = member(read_json(payload.body), None, dict)
    if said := answer.get("status") or answer.get("error"):
        raise refuse(f"error: {str(said)[:80]}", "G1.api_error", "wait, or set a key")
    points = member(answer, "prices", list)
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise refuse("a point is not [time, price]", "G1.columns")
    seen_ms = int(payload.seen_at.timestamp() * 1000)
    newest = max((stamp for stamp, _ in points if isinstance(stamp, int) and stamp <= seen_ms), default=0)
    now = newest if newest % DAY_MS else None
    closes = [(asset, _closed_day(stamp), price) for stamp, price in points if stamp != now]
    return daily_closes(closes, payload.seen_at.astimezone(UTC).date())


def _closed_day(stamp: object) -> date:
    """The day that ends at a midnight in milliseconds."""
    if not isinstance(stamp, int) or stamp % 1000:
        raise refuse(f"not a midnight: {str(stamp)[:40]!r}", "G1.date")
    return utc_day(stamp // 1000) - timedelta(days=1)


def requests(asset: str, window: Window) -> list[Request]:
    """As many days back as the window begins before now."""
    days = min(REACH, max(1, (window.at.date() - window.start).days + 1))
    span = (("vs_currency", "usd"), ("days", str(days)), ("interval", "daily"))
    return [Request(f"/api/v3/coins/{COINS[asset]}/market_chart", span)]


def _feed(asset: str) -> Feed:
    return Feed(
        name=f"market_chart_{asset.lower()}", kind="WINDOW", clock="onchain", shape="observation", media="json",
        parse=partial(parse, asset), restates="window", release=Release("UTC247", 1, "00:35"),
        requests=partial(requests, asset),
    )  # fmt: skip


SOURCE = Source(
    source_id="coingecko",
    title="CoinGecko: daily prices",
    base_url="https://api.coingecko.com",
    lineage_root="coingecko",
    evidence_kind="compilation",
    rank=4,
    licence="CoinGecko API terms: attribution; the public plan is for personal use",
    credit="Data provided by CoinGecko",
    verified="documented",
    min_interval_s=6.0,  # keyless calls share a limit by address
    key_env="COINGECKO_API_KEY",
    key_header="x-cg-demo-api-key",
    feeds=tuple(_feed(asset) for asset in COINS),
)
