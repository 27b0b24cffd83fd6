"""Supply on Ethereum as two nodes and a compilation tell it, from loopback servers to the mart."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from include import pipeline
from include.core.clock import parse_instant
from include.core.ethereum import MULTICALL, TOKENS
from tests.e2e.declared import built, home
from tests.e2e.node import Node
from tests.faults.wire import Wire, answer

BEFORE, DAY, NEXT = date(2026, 1, 27), date(2026, 1, 28), date(2026, 1, 30)
CLOCK = parse_instant("2026-01-31T12:00:00Z")
DECIMALS = {"USDT": 6, "USDC": 6, "DAI": 18, "USDE": 18}
UNITS = {"USDT": 96431702771_410000, "USDC": 51873350128_845210, "DAI": 4467102339_511827365411903824,
         "USDE": 5993201664_318890271146630911}  # fmt: skip
COINS = {symbol: Decimal(units).scaleb(-DECIMALS[symbol]) for symbol, units in UNITS.items()}
# What the compilation counts of each coin, against what the contracts state: the same, 0.3 % off, 1 % off, the same. Of the last one the second node says a coin more in the same block.
BOOK = {"USDT": Decimal(1), "USDC": Decimal("1.003"), "DAI": Decimal("0.99"), "USDE": Decimal(1)}
PRICE, BRIDGED, HELD = Decimal("0.9995"), Decimal(20_000_000), Decimal(5_000_000)


def chain(day: date, more: int = 0) -> Node:
    """The chain a quarter past one; USDE of `more` coins more."""
    at = int(datetime(day.year, day.month, day.day, 1, 15, 23, tzinfo=UTC).timestamp())
    words = {(MULTICALL, "3408e470"): 1, (MULTICALL, "42cbb15c"): 24_000_000, (MULTICALL, "0f28c97d"): at}
    for symbol, token in TOKENS.items():
        extra = more * 10 ** DECIMALS[symbol] if symbol == "USDE" else 0
        words |= {(token, "313ce567"): DECIMALS[symbol], (token, "18160ddd"): UNITS[symbol] + extra}
    return Node(words)


def chart(symbol: str, scope: str) -> bytes:
    """Points from two days before `DAY` to the newest, in the service's shape. On all chains 7 coins more a day."""
    points = []
    for n in range(6):
        stamp = datetime(2026, 1, 26, tzinfo=UTC) + timedelta(days=n)
        minted = COINS[symbol] * BOOK[symbol] if scope == "Ethereum" else 3 * COINS[symbol] + 7 * n
        # on a chain: what bridges carried away circulates elsewhere, and what the issuer holds nowhere
        held, away = (HELD, BRIDGED) if scope == "Ethereum" else (0, 0)
        told = {"totalCirculating": minted - held - away, "totalUnreleased": held,
                "totalCirculatingUSD": (minted - held - away) * PRICE,
                "totalMintedUSD": (minted - held) * PRICE if held else 0}  # fmt: skip
        cells = ", ".join(f'"{key}": {{"peggedUSD": {float(value)!r}}}' for key, value in told.items())
        points.append(f'{{"date": "{stamp.timestamp():.0f}", {cells}}}')
    return f"[{','.join(points)}]".encode()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Rows of the build's marts, once everything has landed."""
    path = tmp_path_factory.mktemp("chain")
    silent = Node(refuses={"eth_call": "missing trie node"})
    for day, second in ((BEFORE, chain(BEFORE)), (DAY, chain(DAY, more=1)), (NEXT, silent)):
        with Wire(chain(day)) as one, Wire(second) as other:
            at = datetime(day.year, day.month, day.day, 1, 30, tzinfo=UTC)
            settings = home(path, at, base_urls={"ethereum_publicnode": one.url, "ethereum_drpc": other.url})
            landed = [pipeline.land(settings, source, "supply", run_id=f"r-{day}")
                      for source in ("ethereum_publicnode", "ethereum_drpc")]  # fmt: skip
    # an error that comes with HTTP 200 is an outcome and no figure
    assert [(a.outcome, a.rule or "") for (a,) in landed] == [("LANDED", ""), ("REJECTED", "G1.api_error")]
    for symbol in TOKENS:
        for scope, feed in (("Ethereum", f"{symbol.lower()}_ethereum"), ("all", symbol.lower())):
            with Wire(answer(chart(symbol, scope), content_type="application/json")) as wire:
                settings = home(path, CLOCK, base_urls={"defillama_stablecoins": wire.url})
                (attempt,) = pipeline.land(settings, "defillama_stablecoins", feed, run_id="book")
                assert attempt.outcome == "LANDED", attempt.reason
                assert f"/stablecoincharts/{scope}?stablecoin=".encode() in wire.heads[0]
    made = built(settings, "chain")
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        yield lambda sql: con.sql(sql).fetchall()


def _supply(told, day: date) -> dict[str, tuple]:
    rows = told(f"""select asset, supply_native, source_id, n_publishers, n_lineages, n_measurements, agreement_status,
                    grade from marts.fct_stablecoin_supply_daily
                    where chain = 'ethereum' and event_date = '{day}'""")  # fmt: skip
    return {row[0]: row[1:] for row in rows}


def test_nodes_and_compilation_agree_differ_or_conflict(told) -> None:
    """Three publishers, two lineages, one measurement: never an A. Nodes that differ in one block are a conflict."""
    rows = _supply(told, DAY)
    assert {asset: row[1:] for asset, row in rows.items()} == {
        "USDT": ("defillama_stablecoins", 3, 2, 1, "agree", "B"),
        "USDC": ("defillama_stablecoins", 3, 2, 1, "within_tolerance", "B"),
        "DAI": ("defillama_stablecoins", 3, 2, 1, "conflict", "X"),
        "USDE": ("defillama_stablecoins", 3, 2, 1, "conflict", "X"),
    }
    for asset, row in rows.items():
        assert abs(row[0] - COINS[asset] * BOOK[asset]) < Decimal("0.01")


def test_without_the_compilation_the_block_itself_is_published(told) -> None:
    """To the last unit of each token, known from the block's own stamp; one lineage whoever transcribes it."""
    rows = told("""select series_id, source_id, value, unit, known_from, vintage_kind
                   from marts.fct_observation where source_id like 'ethereum%' order by all""")  # fmt: skip
    block = {day: datetime(day.year, day.month, day.day, 1, 15, 23, tzinfo=UTC) for day in (BEFORE, DAY, NEXT)}
    expected = [
        (f"SUPPLY.{symbol}.ETHEREUM", source, COINS[symbol] + (symbol == "USDE" and source == "ethereum_drpc" and day == DAY), "coin",
         block[day], "publisher")
        for symbol in TOKENS
        for source, days in (("ethereum_drpc", [BEFORE, DAY]), ("ethereum_publicnode", [BEFORE, DAY, NEXT]))
        for day in days
    ]  # fmt: skip
    assert rows == sorted(expected)
    assert {row[1:5] for row in _supply(told, NEXT).values()} == {("defillama_stablecoins", 2, 2, 1)}


def test_the_channel_counts_all_chains_once(told) -> None:
    """Seven coins a day and coin on all chains; what Ethereum states beside it is no further flow."""
    rows = told("""select session_date, flow_usd from marts.fct_channel_flow_daily
                   where channel = 'STABLE' and flow_usd is not null order by all""")  # fmt: skip
    assert rows == [(day, Decimal(7 * len(TOKENS))) for day in (date(2026, 1, 27), date(2026, 1, 28), date(2026, 1, 29),
                                                               date(2026, 1, 30))]  # fmt: skip
