"""Hyperliquid: open interest and mark price of every perpetual now, and hourly funding rates.

Open interest is in coins by the venue's own convention (whether it counts one side or two is disputed), so it is not
to be added to another venue's. There is no history of it: a snapshot that was missed stays a gap.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from functools import partial

from include.core.errors import ContractError
from include.core.page import page
from include.core.parse import above_zero, at_least_zero, epoch_ms, member, not_after, number, read_json, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

PAGE = 500  # rows a call of fundingHistory holds at most
_COIN = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)


def parse_contexts(payload: Payload) -> Parsed:
    """Universe and contexts, paired by index; delisted coins are left out. Raises `ContractError`."""
    answer = member(read_json(payload.body), None, list)
    if len(answer) != 2:
        raise refuse(f"{len(answer)} parts where universe and contexts are due", "G1.shape")
    universe, contexts = member(answer[0], "universe", list), member(answer[1], None, list)
    if len(universe) != len(contexts):
        raise refuse(f"{len(universe)} coins and {len(contexts)} contexts", "G1.shape")
    event_date = payload.seen_at.astimezone(UTC).date()
    rows = []
    for asset, context in zip(universe, contexts, strict=True):
        coin = member(asset, "name", str)
        if not _COIN.fullmatch(coin):
            raise refuse(f"not the name of a coin: {coin[:40]!r}", "G1.token")
        if asset.get("isDelisted") is not True:
            rows += _context(coin, context, payload.seen_at)
    if not {"OI.HYPERLIQUID.BTC", "OI.HYPERLIQUID.ETH"} <= {row.series_id for row in rows}:
        raise refuse("no open interest of BTC or ETH", "G1.empty")
    return page("observation", rows, [event_date])


def _context(coin: str, context: object, seen_at: datetime) -> list[Observation]:
    out = []
    for family, key, unit in (("OI", "openInterest", "coin"), ("MARK", "markPx", "usd")):
        raw = member(context, key, str)
        value = (above_zero if family == "MARK" else at_least_zero)(raw, f"{key} of {coin}")
        out.append(
            Observation(series_id=f"{family}.HYPERLIQUID.{coin.upper()}", event_date=seen_at.astimezone(UTC).date(),
                        event_at=seen_at, value=value, unit=unit, value_raw=raw, locator=f"coin={coin} key={key}")
        )  # fmt: skip
    return out


def parse_funding(coin: str, payload: Payload) -> Parsed:
    """Hourly rates of one coin, as fractions of the notional. Raises `ContractError`."""
    rows = []
    for item in member(read_json(payload.body), None, list):
        raw = member(item, "fundingRate", str)
        if member(item, "coin", str) != coin:
            raise refuse(f"a row of {item['coin'][:20]!r} among {coin}", "G1.token")
        event_at = epoch_ms(member(item, "time", int), every_hours=1)
        not_after(event_at.date(), payload.seen_at.astimezone(UTC).date(), "a rate of")
        rows.append(
            Observation(series_id=f"FUNDING.HYPERLIQUID.{coin}", event_date=event_at.date(), event_at=event_at,
                        value=number(raw), unit="ratio_per_hour", value_raw=raw,
                        locator=f"hour={event_at:%Y-%m-%dT%HZ}")
        )  # fmt: skip
    if not rows:
        raise refuse("no funding rates", "G1.empty")
    return page("observation", rows, [row.event_date for row in rows])


def contexts(_: Window) -> list[Request]:
    """Everything now."""
    return [Request("/info", method="POST", json={"type": "metaAndAssetCtxs"})]


def funding(coin: str, window: Window) -> Iterator[Request]:
    """The first page of a window."""
    start, end = (int(datetime.combine(d, time(0), UTC).timestamp()) * 1000 for d in (window.start, window.end))
    yield Request("/info", method="POST", json={"type": "fundingHistory", "coin": coin, "startTime": start,
                                                "endTime": end - 1})  # fmt: skip


def next_page(request: Request, body: bytes) -> Request | None:
    """A full page is followed by the one that starts after its last row."""
    try:
        items = member(read_json(body), None, list)
        last = max((member(item, "time", int) for item in items), default=0)
    except ContractError:
        return None  # the page itself was refused when it was parsed
    if len(items) < PAGE:
        return None
    return Request(request.path, method=request.method, json={**(request.json or {}), "startTime": last + 1})


def _funding_feed(coin: str) -> Feed:
    return Feed(
        name=f"funding_{coin.lower()}", kind="WINDOW", clock="derivatives", shape="observation", media="json",
        parse=partial(parse_funding, coin), restates="window", release=Release("UTC247", 1, "00:05"),
        requests=partial(funding, coin), follow=next_page, every_s=55 * 60, history_days=10,
        expects=(f"FUNDING.HYPERLIQUID.{coin}",),
    )  # fmt: skip


SOURCE = Source(
    source_id="hyperliquid",
    title="Hyperliquid: perpetual contexts and funding history",
    base_url="https://api.hyperliquid.xyz",
    lineage_root="hyperliquid",
    evidence_kind="measurement",
    rank=1,
    licence="public API, no licence text found",
    credit="Hyperliquid",
    verified="recorded",
    feeds=(
        Feed(
            name="contexts", kind="SNAPSHOT", clock="derivatives", shape="observation", media="json",
            parse=parse_contexts, restates="none", release=Release("UTC247", 1, "00:05"), requests=contexts,
            expects=("OI.HYPERLIQUID.BTC", "OI.HYPERLIQUID.ETH"),
        ),
        *(_funding_feed(coin) for coin in ("BTC", "ETH", "SOL")),
    ),
)  # fmt: skip
