"""DefiLlama: what the users of a protocol paid, what the protocol kept of it, and what its token's holders got, by day.

Each figure means what the protocol's adapter says (`methodology`): that text stands in the locator. Parent and child
slugs overlap (hyperliquid holds its perpetuals and its spot book) and are never added. What suppliers got is fees less
revenue, and what the treasury got is revenue less holders' revenue; neither is asked for.
"""

from datetime import UTC
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from include.core.page import page, settled
from include.core.parse import member, number, read_json, read_part, refuse, utc_day
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

PROTOCOLS = ("aave", "gmx", "hyperliquid", "uniswap")
# Family of series: the service's name of the kind, and the key of its text in `methodology`.
KINDS = {
    "FEES": ("dailyFees", "Fees"),
    "REVENUE": ("dailyRevenue", "Revenue"),
    "HOLDERS_REVENUE": ("dailyHoldersRevenue", "HoldersRevenue"),
}


class Summary(msgspec.Struct):
    """What is read of an answer: its breakdown by chain and version is far larger."""

    slug: str
    totalDataChart: msgspec.Raw
    methodology: Any = None
    latestFetchIsOk: Any = None


def parse(slug: str, family: str, payload: Payload) -> Parsed:
    """One kind of income on each day that is over, US dollars. Raises `ContractError`.

    Where the service says that its last fetch failed, the newest of these days may be incomplete: `partial`.
    """
    answer = read_part(payload.body, Summary)
    if answer.slug != slug:
        raise refuse(f"an answer about {answer.slug[:40]!r} instead of {slug}", "G1.token")
    (kind, words), methods = KINDS[family], answer.methodology
    method = str(methods.get(words, ""))[:200] if isinstance(methods, dict) else ""
    chart = member(read_json(bytes(answer.totalDataChart)), None, list)
    points = ((utc_day(stamp), raw) for stamp, raw in map(_pair, chart))
    over = settled(points, payload.seen_at.astimezone(UTC).date())
    newest = max(day for day, _ in over)
    is_behind = answer.latestFetchIsOk is False
    rows = [
        Observation(series_id=f"{family}.{slug.upper()}", event_date=day, value=number(raw), unit="usd",
                    value_raw=str(raw), locator=f"row={day} key={kind} method={method}",
                    obs_status="partial" if is_behind and day == newest else "final")
        for day, raw in over if raw is not None
    ]  # fmt: skip
    if not rows:
        raise refuse(f"no {kind} of {slug}", "G1.empty")
    return page("observation", rows, [day for day, _ in over])


def _pair(item: object) -> tuple[object, object]:
    pair = member(item, None, list)
    # a third number is a figure that a decimal comma has cut in two
    if len(pair) < 2 or any(isinstance(more, int | Decimal) for more in pair[2:]):
        raise refuse(f"a point of {len(pair)} parts", "G1.shape")
    return pair[0], pair[1]


def _feed(slug: str, family: str) -> Feed:
    return Feed(
        name=f"{family.lower()}_{slug}", kind="WINDOW", clock="onchain", shape="observation", media="json",
        parse=partial(parse, slug, family), restates="window", release=Release("UTC247", 1, "01:00"), revises=True,
        requests=lambda _: [Request(f"/summary/fees/{slug}", (("dataType", KINDS[family][0]),))],
        expects=(f"{family}.{slug.upper()}",), max_bytes=64 * 2**20,
    )  # fmt: skip


SOURCE = Source(
    source_id="defillama_fees",
    title="DefiLlama: fees, revenue and holders' revenue of protocols",
    base_url="https://api.llama.fi",
    lineage_root="defillama",
    evidence_kind="compilation",
    rank=3,
    licence="open data with attribution, no licence text found; commercial volume is a paid plan",
    credit="DefiLlama",
    verified="recorded",
    feeds=tuple(_feed(slug, family) for slug in PROTOCOLS for family in KINDS),
)
