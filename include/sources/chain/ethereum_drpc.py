"""Ethereum by a public node of dRPC: supply of stablecoins in the newest final block, and watched transfers.

Supply is a snapshot: public nodes keep the state of few blocks, so that a missed one is a recorded gap. Its day is the
block's. Of `transfer_watch.csv` each line is asked for.
"""

from pathlib import Path

from include.core import ethereum, transfers
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Source


def parse_supply(payload: Payload) -> Parsed:
    """One block's supplies. Raises `ContractError`."""
    return ethereum.parse_supply(payload)


SOURCE = Source(
    source_id="ethereum_drpc",
    title="Ethereum by a public node of dRPC",
    base_url="https://eth.drpc.org",
    lineage_root="ethereum",
    evidence_kind="transcription",
    rank=6,
    licence="the chain's state is public; free use of the node within its unstated limits, no licence text found",
    credit="dRPC",
    verified="documented",
    feeds=(
        Feed(
            name="supply", kind="SNAPSHOT", clock="onchain", shape="observation", media="json", parse=parse_supply,
            restates="none", release=Release("UTC247", 0, "02:00"), requests=lambda _: [ethereum.supply_request()],
            expects=tuple(f"SUPPLY.{symbol}.ETHEREUM" for symbol in ethereum.TOKENS),
        ),
        transfers.feed(transfers.watched(Path(__file__).with_name("transfer_watch.csv"))),
    ),
)  # fmt: skip
