"""Binance USD-M futures: open interest of USDT perpetuals a day, and funding every eight hours.

Open interest is the venue's own count, in coins and in dollars, as it stood at the stamp; history reaches 30 days back.
The service refuses some regions with status 451.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from include.core.page import page, reading
from include.core.parse import at_least_zero, epoch_ms, member, number, read_json, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

ASSETS = {"BTCUSDT": "BTC", "ETHUSDT": "ETH", "SOLUSDT": "SOL"}
HISTORY = timedelta(days=29)  # of open interest; an older start is an error
INTEREST = (("OI", "sumOpenInterest", "coin"), ("OI_USD", "sumOpenInterestValue", "usd"))


def parse_interest(payload: Payload) -> Parsed:
    """Open interest in coins and in US dollars at each stamp. Raises `ContractError`."""
    rows = []
    for asset, item in _items(payload):
        event_at = epoch_ms(member(item, "timestamp", int))
        for family, key, unit in INTEREST:
            raw = member(item, key, str)
            value, where = at_least_zero(raw, f"{key} of {asset}"), f"symbol={item['symbol']} at={event_at} key={key}"
            rows.append(reading(payload, f"{family}.BINANCE.{asset}", value, unit, raw, event_at, where))
    return page("observation", rows, [row.event_date for row in rows])


def parse_funding(payload: Payload) -> Parsed:
    """Rates that were paid every eight hours, as fractions of the notional. Raises `ContractError`."""
    rows = []
    for asset, item in _items(payload):
        event_at, raw = epoch_ms(member(item, "fundingTime", int), every_hours=8), member(item, "fundingRate", str)
        rows.append(reading(payload, f"FUNDING.BINANCE.{asset}", number(raw), "ratio_per_8h", raw, event_at,
                            f"symbol={item['symbol']} at={event_at:%Y-%m-%dT%HZ}"))  # fmt: skip
    return page("observation", rows, [row.event_date for row in rows])


def _items(payload: Payload) -> Iterator[tuple[str, dict]]:
    """Rows with their asset; an error of the service is an object where a list is due."""
    answer = read_json(payload.body)
    if isinstance(answer, dict) and "msg" in answer:
        said = " ".join(str(answer["msg"]).split())[:120]
        raise refuse(
            f"error {str(answer.get('code'))[:20]}: {said}", "G1.api_error", "wait, or ask from another region"
        )
    if not member(answer, None, list):
        raise refuse("no rows", "G1.empty")
    for item in answer:
        symbol = member(item, "symbol", str)
        if symbol not in ASSETS:
            raise refuse(f"a row of {symbol[:20]!r}, which was not asked for", "G1.token")
        yield ASSETS[symbol], item


def interest(window: Window) -> Iterator[Request]:
    """One call a symbol for what of the window the service still has."""
    kept = replace(window, start=max(window.start, (window.at - HISTORY).date()))
    fixed = (("period", "1d"), ("limit", "500"))
    return _asked("/futures/data/openInterestHist", fixed, kept)


def funding(window: Window) -> Iterator[Request]:
    """900 rates a call, of at most 1,000 that an answer holds."""
    return _asked("/fapi/v1/fundingRate", (("limit", "1000"),), window)


def _asked(path: str, fixed: tuple[tuple[str, str], ...], window: Window) -> Iterator[Request]:
    for start, end in window.slices(300):
        for symbol in ASSETS:
            yield Request(path, (("symbol", symbol), *fixed, ("startTime", str(start)), ("endTime", str(end))))


SOURCE = Source(
    source_id="binance",
    title="Binance USD-M futures: open interest and funding",
    base_url="https://fapi.binance.com",
    lineage_root="binance",
    evidence_kind="measurement",
    rank=1,
    licence="Binance API terms of use",
    credit="Binance",
    verified="documented",
    feeds=(
        Feed(
            name="open_interest", kind="WINDOW", clock="derivatives", shape="observation", media="json",
            parse=parse_interest, restates="none", release=Release("UTC247", 1, "00:05"), requests=interest,
            every_s=6 * 3600, history_days=10, first_history_days=29,
        ),
        Feed(
            name="funding", kind="WINDOW", clock="derivatives", shape="observation", media="json",
            parse=parse_funding, restates="none", release=Release("UTC247", 1, "00:05"), requests=funding,
            every_s=4 * 3600, history_days=10,
        ),
    ),
)  # fmt: skip
