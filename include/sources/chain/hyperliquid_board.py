"""Hyperliquid: the board of its largest accounts, as totals: how many are listed, and what equity they have.

The board is undocumented, some 39 MB long, and lists survivors only: who was liquidated or has left is not on it, so
that its total is no total of the venue. It bears no date: it is of the day on which it was seen. Of each account two
members are read, the rest is read past; strangers' addresses become no rows. Asked for once a week at most.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC
from decimal import Decimal
from functools import reduce
from pathlib import Path

import msgspec

from include.core.page import page
from include.core.parse import CONTEXT, at_least_zero, listed, number, read_part, refuse, unique
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

LEAST = 1000  # accounts; there are tens of thousands, and fewer are a part of the board
LARGEST = (10, 100)
WATCHED = tuple(
    (row["label"], row["account"])
    for row in listed(Path(__file__).with_name("hyperliquid_watch.csv"), ("label", "account"))
)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


class Account(msgspec.Struct):
    """What is read of a line of the board."""

    ethAddress: str
    accountValue: str


class Board(msgspec.Struct):
    """What is read of the answer."""

    leaderboardRows: list[Account]


def parse(payload: Payload) -> Parsed:
    """Accounts on the board, their equity in US dollars, that of the largest, and that of each watched one listed.

    One account may owe more than it has; that all of them together do is refused. Raises `ContractError`.
    """
    equity = unique(map(_account, read_part(payload.body, Board).leaderboardRows))
    total = at_least_zero(str(_sum(equity.values())), "the equity of the board")
    if len(equity) < LEAST:
        raise refuse(f"{len(equity)} accounts where {LEAST:,} are the least", "G1.empty")
    on = payload.seen_at.astimezone(UTC).date()
    largest = sorted(equity.values(), reverse=True)
    said = [
        ("BOARD_ACCOUNTS.HYPERLIQUID", Decimal(len(equity)), "account"),
        ("BOARD_EQUITY.HYPERLIQUID.ALL", total, "usd"),
    ]
    said += [(f"BOARD_EQUITY.HYPERLIQUID.TOP{n}", _sum(largest[:n]), "usd") for n in LARGEST]
    said += [(f"ACCOUNT_EQUITY.HYPERLIQUID.{label.upper()}", equity[account], "usd")
             for label, account in WATCHED if account in equity]  # fmt: skip
    rows = [
        Observation(series_id=series_id, event_date=on, value=number(value), unit=unit, value_raw=f"{value:f}",
                    locator=f"accountValue of {len(equity)} accounts")
        for series_id, value, unit in said
    ]  # fmt: skip
    return page("observation", rows, [on])


def _account(row: Account) -> tuple[str, Decimal]:
    if not _ADDRESS.fullmatch(row.ethAddress):
        raise refuse(f"not an address: {row.ethAddress[:50]!r}", "G1.token")
    return row.ethAddress.lower(), number(row.accountValue)


def _sum(equity: Iterable[Decimal]) -> Decimal:
    return reduce(CONTEXT.add, equity, Decimal(0))


def requests(_: object) -> Iterator[Request]:
    """The board now."""
    yield Request("/Mainnet/leaderboard")


SOURCE = Source(
    source_id="hyperliquid_board",
    title="Hyperliquid: totals of its board of accounts",
    base_url="https://stats-data.hyperliquid.xyz",
    lineage_root="hyperliquid",
    evidence_kind="measurement",
    rank=1,
    licence="public address that the venue's own pages read, undocumented, no licence text found",
    credit="Hyperliquid",
    verified="recorded",
    feeds=(
        Feed(
            name="board", kind="SNAPSHOT", clock="positioning", shape="observation", media="json", parse=parse,
            restates="none", release=Release("UTC247", 0, "20:45", weekday=4), requests=requests,
            every_s=7 * 86_400, max_bytes=128 * 2**20, min_rows=2 + len(LARGEST),
        ),
    ),
)  # fmt: skip
