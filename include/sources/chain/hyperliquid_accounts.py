"""Hyperliquid: perpetual positions of the accounts on a watch list, with the margin that stands behind each.

The answer does not name its account, so each account of `hyperliquid_watch.csv` is a feed of its own. It is a snapshot:
a row `position` for each open one and a row `account` with the cross margin that they share (`equity_usd` its value,
`notional_usd` its positions, `margin_usd` the maintenance margin that they need). An account without positions says so.
"""

from datetime import UTC
from decimal import Decimal
from functools import partial
from pathlib import Path

from include.core.page import page
from include.core.parse import (
    above_zero,
    at_least_zero,
    epoch_ms,
    listed,
    member,
    not_after,
    number,
    read_json,
    refuse,
)
from include.core.shapes import Parsed, Position
from include.core.source import Feed, Payload, Release, Request, Source, Window

VENUE = "HYPERLIQUID"


def parse(account: str, payload: Payload) -> Parsed:
    """The account's cross margin and its open positions at the venue's own instant. Raises `ContractError`."""
    state = member(read_json(payload.body), None, dict)
    at = epoch_ms(member(state, "time", int))
    not_after(at.date(), payload.seen_at.astimezone(UTC).date(), "a state of")
    cross = member(state, "crossMarginSummary", dict)
    equity = number(member(cross, "accountValue", str))
    shared = {"venue": VENUE, "account": account, "event_date": at.date(), "event_at": at,
              "record_id": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"}  # fmt: skip
    rows = [
        Position(
            **shared, instrument="ALL", record_kind="account", margin_mode="cross", equity_usd=equity,
            notional_usd=at_least_zero(member(cross, "totalNtlPos", str), "totalNtlPos"),
            margin_usd=at_least_zero(member(state, "crossMaintenanceMarginUsed", str), "crossMaintenanceMarginUsed"),
            value_raw=cross["accountValue"], locator="crossMarginSummary",
        )
    ]  # fmt: skip
    for item in member(state, "assetPositions", list):
        held = member(item, "position", dict)
        coin, mode = member(held, "coin", str), member(member(held, "leverage", dict), "type", str)
        size, margin = number(member(held, "szi", str)), at_least_zero(member(held, "marginUsed", str), "marginUsed")
        if not coin.isascii() or not coin.isalnum() or mode not in ("cross", "isolated") or size == 0:
            raise refuse(f"not an open position: {coin[:20]!r}, {mode[:20]!r}, {size}", "G1.token")
        rows.append(
            Position(
                **shared, instrument=coin.upper(), record_kind="position", margin_mode=mode, qty=abs(size),
                side="long" if size > 0 else "short", margin_usd=margin,
                entry_price=above_zero(member(held, "entryPx", str), "entryPx"),
                notional_usd=at_least_zero(member(held, "positionValue", str), "positionValue"),
                liq_price=_above_zero_or_none(held, "liquidationPx"),
                equity_usd=margin if mode == "isolated" else equity,
                leverage_setting=above_zero(_whole(held["leverage"], "value"), "leverage"),
                max_leverage=above_zero(_whole(held, "maxLeverage"), "maxLeverage"),
                value_raw=held["szi"], locator=f"coin={coin}",
            )
        )  # fmt: skip
    return page("position", rows, [at.date()])


def _above_zero_or_none(node: dict, key: str) -> Decimal | None:
    return None if node.get(key) is None else above_zero(member(node, key, str), key)


def _whole(node: dict, key: str) -> str:
    return str(member(node, key, int))


def requests(account: str, _: Window) -> list[Request]:
    """The state now."""
    return [Request("/info", method="POST", json={"type": "clearinghouseState", "user": account})]


SOURCE = Source(
    source_id="hyperliquid_accounts",
    title="Hyperliquid: positions of watched accounts",
    base_url="https://api.hyperliquid.xyz",
    lineage_root="hyperliquid",
    evidence_kind="measurement",
    rank=1,
    licence="public API, no licence text found",
    credit="Hyperliquid",
    verified="recorded",
    feeds=tuple(
        Feed(
            name=f"state_{row['label']}", kind="SNAPSHOT", clock="derivatives", shape="position", media="json",
            parse=partial(parse, row["account"]), restates="none", release=Release("UTC247", 1, "00:05"),
            requests=partial(requests, row["account"]), every_s=900,
        )
        for row in listed(Path(__file__).with_name("hyperliquid_watch.csv"), ("label", "account"))
    ),
)  # fmt: skip
