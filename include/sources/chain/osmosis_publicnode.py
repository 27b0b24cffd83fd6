"""Osmosis by the public node of Allnodes: watched transfers.

Of `transfer_watch.csv` each line on Osmosis is asked for. No probe of this node is on record: its contract is a guess.
"""

from pathlib import Path

from include.core import cosmos, transfers
from include.core.shapes import Parsed
from include.core.source import Payload, Source


def parse(chain: str, watch: tuple[transfers.Watched, ...], payload: Payload) -> Parsed:
    """What a list of transactions tells. Raises `ContractError`."""
    return cosmos.parse(chain, watch, payload)


SOURCE = Source(
    source_id="osmosis_publicnode",
    title="Osmosis by the public node of Allnodes",
    base_url="https://osmosis-rest.publicnode.com",
    lineage_root="osmosis",
    evidence_kind="transcription",
    rank=7,
    licence="the chain's state is public; free use of the node within its unstated limits, no licence text found",
    credit="PublicNode by Allnodes",
    verified="guessed",
    feeds=(cosmos.feed("osmosis", transfers.watched(Path(__file__).with_name("transfer_watch.csv")), parse),),
)
