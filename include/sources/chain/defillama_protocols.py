"""DefiLlama: the tokens that are locked in some protocols, as quantities and in dollars, a point a UTC day.

Value in dollars moves with prices, so that its change is no flow; quantities at the prices of the day before are. A
protocol's page is large and always whole; only its newest days become rows, and only they become objects: the rest is
read past, as JSON that it must be.
"""

from collections.abc import Iterator
from datetime import UTC, date, timedelta
from functools import partial

import msgspec

from include.core.page import page, settled
from include.core.parse import member, number, read_json, read_part, refuse, utc_day
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

PROTOCOLS = ("aave", "gmx", "makina")
TOKEN_DAYS = 60  # there are hundreds of tokens a day


class Point(msgspec.Struct):
    """A day's tokens, unread."""

    date: int
    tokens: msgspec.Raw


class Protocol(msgspec.Struct):
    """What is read of a protocol's page."""

    tokens: list[Point]
    tokensInUsd: list[Point]


def parse(slug: str, payload: Payload) -> Parsed:
    """Tokens in a protocol, as quantities and in dollars, on the newest days that are over. Raises `ContractError`."""
    seen_on = payload.seen_at.astimezone(UTC).date()
    answer = read_part(payload.body, Protocol)
    rows: list[Observation] = []
    days: list[date] = []
    said = (("TOKEN", "tokens", "coin", answer.tokens), ("TOKEN_USD", "tokensInUsd", "usd", answer.tokensInUsd))
    for family, key, unit, points in said:
        over = settled(_dated(points), seen_on)
        kept = [(day, item) for day, item in over if day > seen_on - timedelta(days=TOKEN_DAYS)]
        days += [day for day, _ in kept]
        for day, item in kept:
            for token, raw in member(read_json(bytes(item)), None, dict).items():
                rows.append(
                    Observation(series_id=f"{family}.{slug.upper()}.{token.upper()}", event_date=day, value=number(raw),
                                unit=unit, value_raw=str(raw), locator=f"row={day} key={key}.{token}")
                )  # fmt: skip
    if not rows:
        raise refuse(f"no tokens of {slug}", "G1.empty")
    return page("observation", rows, days)


def _dated(points: list[Point]) -> Iterator[tuple[date, msgspec.Raw]]:
    """Tokens with their days. The newest may be stamped within its day: what stands now."""
    newest = max((point.date for point in points), default=0)
    for point in points:
        yield utc_day(point.date - point.date % 86_400 if point.date == newest else point.date), point.tokens


def _feed(slug: str) -> Feed:
    return Feed(
        name=slug, kind="WINDOW", clock="onchain", shape="observation", media="json", parse=partial(parse, slug),
        restates="window", release=Release("UTC247", 1, "01:00"), revises=True, max_bytes=128 * 2**20,
        requests=lambda _: [Request(f"/protocol/{slug}")],
    )  # fmt: skip


SOURCE = Source(
    source_id="defillama_protocols",
    title="DefiLlama: tokens locked in protocols",
    base_url="https://api.llama.fi",
    lineage_root="defillama",
    evidence_kind="compilation",
    rank=3,
    licence="open data with attribution, no licence text found; commercial volume is a paid plan",
    credit="DefiLlama",
    verified="documented",
    feeds=tuple(_feed(slug) for slug in PROTOCOLS),
)
