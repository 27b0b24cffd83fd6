"""Bybit v5, USDT perpetuals: open interest of a day in coins, and funding every eight hours. Errors come with HTTP 200.

Every number is text, stamps too. Open interest of linear contracts is in coins, longs and shorts added up, so that each
contract counts twice; since 2026 the single side stands beside it.
"""

from collections.abc import Iterator

from include.core.page import page, reading
from include.core.parse import at_least_zero, epoch_ms, member, number, read_json, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

ASSETS = {"BTCUSDT": "BTC", "ETHUSDT": "ETH", "SOLUSDT": "SOL"}
PAGE = 200  # rows an answer holds at most, newest first


def parse_interest(payload: Payload) -> Parsed:
    """Open interest in coins at each stamp; the symbol stands once. Raises `ContractError`."""
    result = _result(payload)
    asset = _asset(member(result, "symbol", str))
    rows = []
    for item in result["list"]:
        raw, event_at = member(item, "openInterest", str), epoch_ms(member(item, "timestamp", str))
        value = at_least_zero(raw, f"openInterest of {asset}")
        if (side := item.get("singleOpenInterest")) and abs(2 * number(side) - value) > 1:
            raise refuse(f"openInterest of {asset} is not twice the single side", "G1.identity")
        rows.append(
            reading(payload, f"OI.BYBIT.{asset}", value, "coin", raw, event_at, f"timestamp={item['timestamp']}")
        )
    return page("observation", rows, [row.event_date for row in rows])


def parse_funding(payload: Payload) -> Parsed:
    """Rates that were paid every eight hours, as fractions of the notional. Raises `ContractError`."""
    rows = []
    for item in _result(payload)["list"]:
        raw, asset = member(item, "fundingRate", str), _asset(member(item, "symbol", str))
        event_at = epoch_ms(member(item, "fundingRateTimestamp", str), every_hours=8)
        rows.append(reading(payload, f"FUNDING.BYBIT.{asset}", number(raw), "ratio_per_8h", raw, event_at,
                            f"symbol={item['symbol']} at={event_at:%Y-%m-%dT%HZ}"))  # fmt: skip
    return page("observation", rows, [row.event_date for row in rows])


def _result(payload: Payload) -> dict:
    """The result of linear contracts with a list that is not empty."""
    answer = read_json(payload.body)
    code = member(answer, "retCode", int)
    if code != 0 or isinstance(code, bool):
        said = " ".join(str(answer.get("retMsg")).split())[:120]
        raise refuse(f"error {str(code)[:20]}: {said}", "G1.api_error", "wait, or ask from another region")
    result = member(answer, "result", dict)
    if member(result, "category", str) != "linear":
        raise refuse(f"category {result['category'][:20]!r}, not linear", "G1.token")
    if not member(result, "list", list):
        raise refuse("no rows", "G1.empty")
    return result


def _asset(symbol: str) -> str:
    if symbol not in ASSETS:
        raise refuse(f"a row of {symbol[:20]!r}, which was not asked for", "G1.token")
    return ASSETS[symbol]


def interest(window: Window) -> Iterator[Request]:
    """Daily open interest, 190 days a call."""
    return _asked("/v5/market/open-interest", 190, (("intervalTime", "1d"),), window)


def funding(window: Window) -> Iterator[Request]:
    """Funding, 60 days of three rates a call."""
    return _asked("/v5/market/funding/history", 60, (), window)


def _asked(path: str, days: int, fixed: tuple[tuple[str, str], ...], window: Window) -> Iterator[Request]:
    for start, end in window.slices(days):
        span = (("startTime", str(start)), ("endTime", str(end)), ("limit", str(PAGE)))
        for symbol in ASSETS:
            yield Request(path, (("category", "linear"), ("symbol", symbol), *fixed, *span))


SOURCE = Source(
    source_id="bybit",
    title="Bybit USDT perpetuals: open interest and funding",
    base_url="https://api.bybit.com",
    lineage_root="bybit",
    evidence_kind="measurement",
    rank=1,
    licence="Bybit API terms of use",
    credit="Bybit",
    verified="documented",
    feeds=(
        Feed(
            name="open_interest", kind="WINDOW", clock="derivatives", shape="observation", media="json",
            parse=parse_interest, restates="none", release=Release("UTC247", 1, "00:05"), requests=interest,
            every_s=6 * 3600, history_days=10,
        ),
        Feed(
            name="funding", kind="WINDOW", clock="derivatives", shape="observation", media="json",
            parse=parse_funding, restates="none", release=Release("UTC247", 1, "00:05"), requests=funding,
            every_s=4 * 3600, history_days=10,
        ),
    ),
)  # fmt: skip
