"""DefiLlama: the tokens that are locked in some protocols, as quantities and in dollars, a point a UTC day.

Value in dollars moves with prices, so that its change is no flow; quantities at the prices of the day before are. A
protocol's page is large and always whole; only its newest days become rows.
"""

from collections.abc import Iterator
from datetime import UTC, date, timedelta
from functools import partial

from include.core.page import page, settled
from include.core.parse import member, number, read_json, refuse, utc_day
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

PROTOCOLS = ("aave", "gmx", "makina")
TOKEN_DAYS = 60  # there are hundreds of tokens a day


def parse(slug: str, payload: Payload) -> Parsed:
    """Tokens in a protocol, as quantities and in dollars, on the newest days that are over. Raises `ContractError`."""
    answer, seen_on = member(read_json(payload.body), None, dict), payload.seen_at.astimezone(UTC).date()
    rows: list[Observation] = []
    days: list[date] = []
    for family, key, unit in (("TOKEN", "tokens", "coin"), ("TOKEN_USD", "tokensInUsd", "usd")):
        over = settled(_dated(member(answer, key, list)), seen_on)
        kept = [(day, item) for day, item in over if day > seen_on - timedelta(days=TOKEN_DAYS)]
        days += [day for day, _ in kept]
        for day, item in kept:
            for token, raw in member(item, "tokens", dict).items():
                rows.append(
                    Observation(series_id=f"{family}.{slug.upper()}.{token.upper()}", event_date=day, value=number(raw),
                                unit=unit, value_raw=str(raw), locator=f"row={day} key={key}.{token}")
                )  # fmt: skip
    if not rows:
        raise refuse(f"no tokens of {slug}", "G1.empty")
    return page("observation", rows, days)


def _dated(items: list) -> Iterator[tuple[date, dict]]:
    """Points with their days. The newest may be stamped within its day: what stands now."""
    stamps = [member(item, "date", int) for item in items]
    newest = max(stamps, default=0)
    for stamp, item in zip(stamps, items, strict=True):
        yield utc_day(stamp - stamp % 86_400 if stamp == newest else stamp), item


def _feed(slug: str) -> Feed:
    return Feed(
        name=slug, kind="WINDOW", clock="onchain", shape="observation", media="json", parse=partial(parse, slug),
        restates="window", release=Release("UTC247", 1, "01:00"), revises=True, max_bytes=256 * 2**20,
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
