"""dYdX v4, by its indexer: open interest and oracle price of the perpetuals now, and hourly funding.

Open interest is in coins by the venue's own count. The indexer refuses some countries. There is no history of open
interest: a snapshot that was missed stays a gap.
"""

from datetime import UTC, datetime
from functools import partial

from include.core.page import page, reading
from include.core.parse import above_zero, at_least_zero, epoch_ms, member, number, read_json, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

ASSETS = ("BTC", "ETH", "SOL")
PAGE = 100  # rows an answer holds, newest first


def parse_markets(payload: Payload) -> Parsed:
    """Open interest in coins and oracle price of the three perpetuals that are followed. Raises `ContractError`."""
    rows = []
    for ticker, market in member(read_json(payload.body), "markets", dict).items():
        asset = ticker.removesuffix("-USD")
        if asset not in ASSETS or asset == ticker:
            continue
        if member(market, "ticker", str) != ticker:
            raise refuse(f"{market['ticker'][:20]!r} stands under {ticker}", "G1.token")
        for family, key, unit, read in (("OI", "openInterest", "coin", at_least_zero),
                                        ("MARK", "oraclePrice", "usd", above_zero)):  # fmt: skip
            raw = member(market, key, str)
            rows.append(reading(payload, f"{family}.DYDX.{asset}", read(raw, f"{key} of {asset}"), unit, raw,
                                payload.seen_at, f"ticker={ticker} key={key}"))  # fmt: skip
    if not rows:
        raise refuse("none of the perpetuals that are followed", "G1.empty")
    return page("observation", rows, [row.event_date for row in rows])


def parse_funding(asset: str, payload: Payload) -> Parsed:
    """Hourly rates of one perpetual, as fractions of the notional. Raises `ContractError`."""
    rows = []
    for item in member(read_json(payload.body), "historicalFunding", list):
        if member(item, "ticker", str) != f"{asset}-USD":
            raise refuse(f"a row of {item['ticker'][:20]!r} among {asset}", "G1.token")
        raw, event_at = member(item, "rate", str), _hour(member(item, "effectiveAt", str))
        rows.append(reading(payload, f"FUNDING.DYDX.{asset}", number(raw), "ratio_per_hour", raw, event_at,
                            f"effectiveAt={event_at:%Y-%m-%dT%HZ}"))  # fmt: skip
    if not rows:
        raise refuse("no funding rates", "G1.empty")
    return page("observation", rows, [row.event_date for row in rows])


def _hour(text: str) -> datetime:
    """The funding hour of an ISO stamp in UTC with milliseconds; the chain writes it some blocks after the hour."""
    try:
        stamp = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) if text.isascii() else None
    except ValueError:
        stamp = None
    if stamp is None:
        raise refuse(f"not an instant: {text[:40]!r}", "G1.date")
    return epoch_ms(int(stamp.timestamp()) * 1000, every_hours=1)


def markets(_: Window) -> list[Request]:
    """Everything now."""
    return [Request("/v4/perpetualMarkets")]


def funding(asset: str, window: Window) -> list[Request]:
    """Four days a call: 96 hours, of 100 rates that an answer holds."""
    return [
        Request(f"/v4/historicalFunding/{asset}-USD",
                (("limit", str(PAGE)), ("effectiveBeforeOrAt", f"{epoch_ms(end):%Y-%m-%dT%H:%M:%S.999Z}")))
        for _, end in window.slices(4)
    ]  # fmt: skip


_COMMON = {"clock": "derivatives", "shape": "observation", "media": "json", "restates": "none",
           "release": Release("UTC247", 1, "00:05")}  # fmt: skip
SOURCE = Source(
    source_id="dydx",
    title="dYdX v4 indexer: perpetual markets and funding",
    base_url="https://indexer.dydx.trade",
    lineage_root="dydx",
    evidence_kind="measurement",
    rank=1,
    licence="dYdX indexer, public API; no licence text found",
    credit="dYdX",
    verified="recorded",
    feeds=(
        Feed(name="markets", kind="SNAPSHOT", parse=parse_markets, requests=markets, every_s=3600, **_COMMON),
        *(
            Feed(name=f"funding_{asset.lower()}", kind="WINDOW", parse=partial(parse_funding, asset),
                 requests=partial(funding, asset), every_s=6 * 3600, history_days=4,
                 first_history_days=60, **_COMMON)
            for asset in ASSETS
        ),
    ),
)  # fmt: skip
