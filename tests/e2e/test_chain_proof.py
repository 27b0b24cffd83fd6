"""What came back and what was paid out, proved by transfers that two nodes tell alike: from loopback servers to the marts.

The watch list is illustrative; the shipped one names nothing, for no primary hash or address of a case is established.
"""

import json
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from include.core import cosmos, transfers
from include.core.clock import parse_instant
from include.core.errors import ContractError
from include.core.ethereum import TOKENS
from include.sources import registry
from include.sources.chain import etherscan
from tests.e2e.declared import built, home, registered
from tests.e2e.node import Node
from tests.faults.wire import Wire, answer, in_turn

CLOCK = parse_instant("2026-01-31T12:00:00Z")
RETURNED = parse_instant("2026-01-22T14:05:11Z")
MAKINA, MILKYWAY = "INCIDENT.makina.2026-01-20", "DISTRIBUTION.milkyway.2026-01-22"
HOLDER, TREASURY, USERS = ("0x" + digit * 40 for digit in "123")
BLOCK, FIRST, ETHER = 24_002_560, 24_001_000, 10**18
RETURN = "0x" + "ef" * 32
COLUMNS = "subject_id,proves,kind,tx_hash,token,sender,from_block,to_block,chain,decimals,asset,cited_url,note"
NATIVE = f"{MAKINA},returned_native,native_tx,{RETURN},,,{BLOCK},{BLOCK},,,,https://example.org/return,"
TOKEN = (
    f"{MILKYWAY},distribution,erc20_from,,{TOKENS['USDC']},{TREASURY},{FIRST},{FIRST + 1999},,,,https://example.org/p,"
)
DENOM = "ibc/498A0751C798A0D9A389AA3691123DADA57DAA4FE165D5C75894505B876BA6E4"
PAYER, PAID_TO = "osmo1" + "q" * 38, "osmo1" + "p" * 38
COIN = f"{MILKYWAY},distribution,cosmos_from,,{DENOM},{PAYER},51022000,51922000,osmosis,6,USDC,https://example.org/c,"
PAID = (60_000_000_000, 32_708_000_001)
MARTS = ("fct_security_incident", "fct_protocol_cashflow_daily", "dim_event")


def watched(path: Path, *lines: str) -> tuple[transfers.Watched, ...]:
    """A watch list with these lines."""
    file = path / "transfer_watch.csv"
    file.write_text("\n".join((COLUMNS, *lines, "")), encoding="utf-8")
    return transfers.watched(file)


@dataclass(slots=True)
class Chain:
    """What a node knows: the transaction that returns `wei`, and the logs of payouts in `units`."""

    wei: int = 920 * ETHER
    units: tuple[int, ...] = PAID
    asked: list[tuple[str, list]] = field(default_factory=list)

    def node(self) -> Node:
        """A node that answers from it."""
        answers = {
            "eth_getTransactionByHash": self._transaction, "eth_getTransactionReceipt": self._receipt,
            "eth_getBlockByNumber": self._block, "eth_getLogs": self._logs,
        }  # fmt: skip
        return Node({(TOKENS["USDC"], "313ce567"): 6}, answers=answers)

    def _transaction(self, params: list) -> dict | None:
        self.asked.append(("transaction", params))
        told = {"hash": RETURN, "from": HOLDER, "to": USERS, "value": hex(self.wei), "blockNumber": hex(BLOCK)}
        return told if params == [RETURN] and self.wei else None

    def _receipt(self, params: list) -> dict | None:
        told = {"transactionHash": RETURN, "status": "0x1", "blockNumber": hex(BLOCK), "logs": []}
        return told if params == [RETURN] and self.wei else None

    def _block(self, params: list) -> dict:
        number, whole = params
        assert whole is False
        return {"number": number, "timestamp": hex(int(RETURNED.timestamp()))}

    def _logs(self, params: list) -> list:
        (asked,) = params
        self.asked.append(("logs", params))
        return [
            {"address": asked["address"], "topics": [*asked["topics"], "0x" + f"{n + 1:064x}"], "data": f"0x{units:064x}",
             "blockNumber": hex(FIRST + n), "transactionHash": "0x" + f"{n + 1:064x}", "logIndex": hex(n), "removed": False}
            for n, units in enumerate(self.units)
        ]  # fmt: skip


def proved(path: Path, one: Chain, other: Chain) -> tuple:
    """What two nodes that know these chains make of the incident and of the payout, and how their answers were taken."""
    watch = watched(path, NATIVE, TOKEN)
    hosts = ("ethereum_publicnode", "ethereum_drpc")
    sources = [replace(registry()[host], feeds=(transfers.feed(watch),)) for host in hosts]
    with registered(*sources), Wire(one.node()) as first, Wire(other.node()) as second:
        settings = home(path, CLOCK, base_urls={hosts[0]: first.url, hosts[1]: second.url})
        for feed in ("incident_claim", "distribution"):
            pipeline.land(settings, "curated", feed, run_id="curated")
        taken = [
            [a.rule or a.outcome for a in pipeline.land(settings, host, "transfers", run_id="r")] for host in hosts
        ]
        made = built(settings, "proof", only=MARTS)
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        return *marts(con), taken


def marts(con: duckdb.DuckDBPyConnection) -> tuple[tuple, tuple]:
    """What stands of the incident and of the payout. Transfers are no events of the calendar."""
    assert con.execute("select count(*) from marts.dim_event where event_id like 'TRANSFER%'").fetchone() == (0,)
    incident = con.execute("""select returned_native, returned_proved_native, evidence_status
        from marts.fct_security_incident where incident_id = $1""", [MAKINA]).fetchone()  # fmt: skip
    payout = con.execute("""select distribution_usd, distribution_proved_native, claim_status
        from marts.fct_protocol_cashflow_daily where protocol = 'milkyway' and event_date = '2026-01-22'""").fetchone()
    return incident, payout


def test_two_nodes_that_tell_the_same_transfers_prove_them(tmp_path: Path) -> None:
    """920 ether by its transaction, 92,708.000001 coins by their logs, whatever the reports say of either."""
    one = Chain()
    incident, payout, taken = proved(tmp_path, one, Chain())
    assert taken == [["LANDED", "LANDED"]] * 2
    assert incident == (920, 920, "proved")
    assert payout == (92708, Decimal("92708.000001"), "supported")
    topics = [transfers.TRANSFER, "0x" + "0" * 24 + TREASURY[2:]]
    assert one.asked == [
        ("transaction", [RETURN]),
        ("logs", [{"address": TOKENS["USDC"], "topics": topics, "fromBlock": hex(FIRST), "toBlock": hex(FIRST + 1999)}]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("other", "told", "status"),
    [
        pytest.param(Chain(wei=921 * ETHER, units=PAID[:1]), [["LANDED", "LANDED"]], "hash_attached", id="one-host-lies"),
        pytest.param(Chain(wei=0), [["G1.empty"]], "hash_attached", id="one-host-does-not-know-the-transaction"),
    ],
)  # fmt: skip
def test_nodes_that_differ_prove_nothing(tmp_path: Path, other: Chain, told: list, status: str) -> None:
    """A hash is attached, and no figure. The refused batch ends the fetch: the logs are asked for the next time."""
    incident, payout, taken = proved(tmp_path, Chain(), other)
    assert taken == [["LANDED", "LANDED"], *told]
    assert incident == (920, None, status)
    assert payout == (92708, None, "unverified")


def test_an_empty_list_of_a_pruned_node_is_not_accepted_as_no_transfers(tmp_path: Path) -> None:
    """One host proves nothing alone; the return, which both know, is proved."""
    incident, payout, taken = proved(tmp_path, Chain(), Chain(units=()))
    assert taken == [["LANDED", "LANDED"], ["LANDED", "G1.empty"]]
    assert incident == (920, 920, "proved") and payout == (92708, None, "unverified")


def test_an_index_is_another_teller_of_the_same_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node and the index tell both alike; what a contract moved the index alone tells. Its key is stored nowhere."""
    monkeypatch.setenv("ETHERSCAN_API_KEY", "canary-7f3a9c51d2e84b06")
    within = f"INCIDENT.other,returned_native,internal_tx,{RETURN},,{HOLDER},{BLOCK},{BLOCK},,,,,"
    watch = watched(tmp_path, NATIVE.replace(f"{RETURN},,,", f"{RETURN},,{HOLDER},"), TOKEN, within)
    stamp = {"timeStamp": str(int(RETURNED.timestamp())), "from": HOLDER, "contractAddress": ""}
    ether = stamp | {"blockNumber": str(BLOCK), "hash": RETURN, "to": USERS, "isError": "0"}
    paid = [
        stamp | {"blockNumber": str(FIRST + n), "hash": f"0x{n + 1:064x}", "from": TREASURY, "to": f"0x{n + 1:040x}",
                 "contractAddress": TOKENS["USDC"], "tokenDecimal": "6", "value": str(units)}
        for n, units in enumerate(PAID)
    ]  # fmt: skip
    pages = ([ether | {"value": str(920 * ETHER)}], paid, [ether | {"value": "1", "traceId": "0_1"}])
    said = [answer(json.dumps({"status": "1", "message": "OK", "result": rows}).encode()) for rows in pages]
    feed = replace(
        etherscan.SOURCE.feeds[0], parse=partial(etherscan.parse, watch), requests=partial(etherscan.requests, watch)
    )
    node = replace(registry()["ethereum_drpc"], feeds=(transfers.feed(watch),))
    with registered(node, replace(etherscan.SOURCE, feeds=(feed,))):
        with Wire(Chain().node()) as first, Wire(in_turn(said)) as second:
            settings = home(tmp_path, CLOCK, base_urls={"ethereum_drpc": first.url, "etherscan": second.url})
            for source, name in (("curated", "incident_claim"), ("curated", "distribution"),
                                 ("ethereum_drpc", "transfers"), ("etherscan", "transfers")):  # fmt: skip
                assert {a.outcome for a in pipeline.land(settings, source, name, run_id="r")} == {"LANDED"}
        made = built(settings, "proof", only=MARTS)
    actions = [re.search(rb"action=(\w+)&.*&startblock=(\d+)", head).groups() for head in second.heads]
    assert actions == [(b"txlist", b"%d" % BLOCK), (b"tokentx", b"%d" % FIRST), (b"txlistinternal", b"%d" % BLOCK)]
    assert all(b"&apikey=canary-7f3a9c51d2e84b06 HTTP" in head for head in second.heads)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"canary-7f3a9c51d2e84b06" in body for body in kept)
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        assert marts(con) == ((920, 920, "proved"), (92708, Decimal("92708.000001"), "supported"))


def sent(*units: int) -> bytes:
    """What a REST node of Osmosis lists of a payer: a payment a transaction, each with a fee, and one that failed."""
    fee = {"sender": PAYER, "recipient": PAID_TO, "amount": "2500uosmo"}
    txs = [
        {"height": str(51_022_033 + n), "txhash": f"{n + 1:064X}", "code": 0 if paid else 5, "timestamp": "2026-01-22T10:01:11Z",
         "events": [_event("transfer", fee), _event("message", {"msg_index": "0", "sender": PAYER})]
         + ([_event("transfer", {"msg_index": "0", "amount": f"{paid}{DENOM},7uosmo", "recipient": PAID_TO, "sender": PAYER})]
            if paid else [])}
        for n, paid in enumerate((*units, 0))
    ]  # fmt: skip
    return json.dumps({"txs": [], "tx_responses": txs, "pagination": None, "total": str(len(txs))}).encode()


def _event(kind: str, said: dict[str, str]) -> dict:
    return {"type": kind, "attributes": [{"key": key, "value": value, "index": True} for key, value in said.items()]}


@pytest.mark.parametrize(
    ("other", "outcome", "payout"),
    [
        pytest.param(sent(*PAID), "LANDED", (92708, Decimal("92708.000001"), "supported"), id="two-hosts-agree"),
        pytest.param(sent(PAID[0]), "LANDED", (92708, None, "unverified"), id="one-host-knows-less"),
        pytest.param(sent(PAID[0], PAID[1] + 1), "LANDED", (92708, None, "unverified"), id="one-host-differs"),
        pytest.param(sent(), "G1.empty", (92708, None, "unverified"), id="one-host-has-pruned"),
    ],
)
def test_a_payout_on_osmosis_is_proved_by_two_hosts_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: bytes, outcome: str, payout: tuple
) -> None:
    """The line states decimals and the coin's name; fees and failed transactions pay nobody out. Ethereum is not asked."""
    watch, hosts = watched(tmp_path, COIN, TOKEN), ("osmosis_labs", "osmosis_publicnode")
    monkeypatch.setenv("CAPMIG_GUESSED", ",".join(hosts))
    assert len(list(transfers.requests(watch))) == 1
    sources = [replace(registry()[host], feeds=(cosmos.feed("osmosis", watch),)) for host in hosts]
    with registered(*sources), Wire(in_turn([answer(sent(*PAID))])) as first, Wire(in_turn([answer(other)])) as second:
        settings = home(tmp_path, CLOCK, base_urls={hosts[0]: first.url, hosts[1]: second.url})
        pipeline.land(settings, "curated", "distribution", run_id="curated")
        taken = [[a.rule or a.outcome for a in pipeline.land(settings, h, "transfers", run_id="r")] for h in hosts]
        made = built(settings, "proof", only=MARTS)
    assert taken == [["LANDED"], [outcome]]
    (asked,) = first.heads
    assert (
        b"transfer.sender%3D%27" + PAYER.encode() + b"%27+AND+tx.height%3E%3D51022000+AND+tx.height%3C%3D51922000"
        in asked
    )
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        assert marts(con)[1] == payout


def test_the_shipped_watch_list_names_nothing_and_asks_nothing(tmp_path: Path) -> None:
    """No primary hash or address is established; nothing is invented, and no host is asked."""
    assert transfers.watched(Path(etherscan.__file__).with_name("transfer_watch.csv")) == ()
    with Wire(Chain().node()) as wire:
        settings = home(tmp_path, CLOCK, base_urls={"ethereum_publicnode": wire.url})
        assert pipeline.land(settings, "ethereum_publicnode", "transfers", run_id="r") == []
        assert wire.heads == []


@pytest.mark.parametrize(
    "line",
    [
        NATIVE.replace(RETURN, "0xa6c2..."),
        NATIVE.replace(RETURN, ""),
        NATIVE.replace("native_tx", "rumour"),
        NATIVE.replace("returned_native", ""),
        TOKEN.replace(TREASURY, "0x573d..."),
        TOKEN.replace(str(FIRST), "latest"),
        TOKEN.replace(str(FIRST + 1999), str(FIRST + 2000)),
        TOKEN.replace(str(FIRST + 1999), str(FIRST - 1)),
        TOKEN + ",",
        COIN.replace(",6,USDC", ",,USDC"),
        COIN.replace(",6,USDC", ",19,USDC"),
        COIN.replace(",6,USDC", ",6,"),
        COIN.replace(PAYER, TREASURY),
        COIN.replace(DENOM, ""),
        COIN.replace("osmosis", ""),
    ],
)
def test_a_line_that_cannot_be_asked_for_is_refused(tmp_path: Path, line: str) -> None:
    """Addresses cut short, spans that are too long or run backwards, kinds that nobody knows."""
    with pytest.raises(ContractError):
        watched(tmp_path, line)
