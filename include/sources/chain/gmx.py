"""GMX v2 on Arbitrum: open interest of the pools' traders, long and short apart, in US dollars.

A pool is the other side of every trader, so long and short need not be equal, and their sum is no open interest.
Integers are dollars scaled by 1e30; what is finer than 1e-18 dollars is cut off. Each market's listed pools are added
up, side by side; the list may also say of a pool that it is disabled, and mostly does not. Funding is paid by one side
to the other at two rates and has no single series here.
"""

import re
from decimal import ROUND_DOWN, Decimal

from include.core.page import page, reading
from include.core.parse import CONTEXT, SCALE, member, number, read_json, refuse, unique
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

ASSETS = ("BTC", "ETH", "SOL")
SIDES = (("LONG", "openInterestLong"), ("SHORT", "openInterestShort"))
_MARKET = re.compile(r"([A-Z0-9]{1,12})/USD \[\S{3,40}\]", re.ASCII)
_SCALED = re.compile(r"\d{1,50}", re.ASCII)


def parse(payload: Payload) -> Parsed:
    """Open interest of the markets that are followed, a series a side. Raises `ContractError`."""
    pools = unique([(member(item, "marketToken", str), item)
                    for item in member(read_json(payload.body), "markets", list)])  # fmt: skip
    sides: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for token, item in sorted(pools.items()):
        found = _MARKET.fullmatch(member(item, "name", str))
        if found and found[1] in ASSETS and member(item, "isListed", bool) and not item.get("isDisabled"):
            for side, key in SIDES:
                sides.setdefault((found[1], side), []).append((token, member(item, key, str)))
    if not sides:
        raise refuse("none of the markets that are followed", "G1.empty")
    rows = [
        reading(payload, f"OI_USD.GMX.{asset}.{side}", sum((_dollars(raw) for _, raw in said), Decimal(0)), "usd",
                " + ".join(raw for _, raw in said), payload.seen_at,
                f"marketToken={', '.join(token for token, _ in said)} key=openInterest{side.title()}")
        for (asset, side), said in sides.items()
    ]  # fmt: skip
    return page("observation", rows, [row.event_date for row in rows])


def _dollars(raw: str) -> Decimal:
    """An integer of 1e-30 dollars as dollars; signs, points and exponents are refused."""
    if not _SCALED.fullmatch(raw):
        raise refuse(f"not a scaled integer: {raw[:40]!r}", "G1.type")
    scaled = Decimal(raw).scaleb(-30, context=CONTEXT).quantize(SCALE, rounding=ROUND_DOWN, context=CONTEXT)
    return number(f"{scaled:f}")


def requests(_: Window) -> list[Request]:
    """Everything now."""
    return [Request("/markets/info")]


SOURCE = Source(
    source_id="gmx",
    title="GMX v2 on Arbitrum: open interest by side",
    base_url="https://arbitrum-api.gmxinfra.io",
    lineage_root="gmx",
    evidence_kind="measurement",
    rank=1,
    licence="public API, no licence text found",
    credit="GMX",
    verified="documented",
    feeds=(
        Feed(
            name="markets", kind="SNAPSHOT", clock="derivatives", shape="observation", media="json", parse=parse,
            restates="none", release=Release("UTC247", 1, "00:05"), requests=requests, every_s=3600,
            parser_version="2",
        ),
    ),
)  # fmt: skip
