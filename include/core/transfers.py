"""Transfers as events, how nodes of Ethereum tell them, and the watch list that says what some of them prove.

A node's empty list proves nothing: nodes prune. So a payload without a transfer is refused, and what one node tells is
a proof only once another tells the same transfers, which the marts decide.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from include.core.ethereum import DATA, MAX_DECIMALS, SELECTORS, TOKENS, batch, data, quantity, results
from include.core.page import page
from include.core.parse import CONTEXT, above_zero, listed, member, refuse
from include.core.shapes import Event, Parsed
from include.core.source import Feed, Payload, Release, Request

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"  # of Transfer(address,address,uint256)
NATIVE, NATIVE_DECIMALS = "ETH", 18
INTERNAL = "trace "  # begins the place of what a contract moved within a transaction
MAX_BLOCKS = 2000  # some nodes list no more in one answer
FINAL = timedelta(hours=1)  # several times what a block needs to be final
FIELDS = ("subject_id", "proves", "kind", "tx_hash", "token", "sender", "from_block", "to_block", "chain", "decimals",
          "asset")  # fmt: skip
# What a line must name, by its kind. Ether leaves no log: it is proved by its transaction. What a contract moved within
# one no node tells without a trace. Of a coin of a Cosmos chain no answer tells the decimals or a name: the line does.
KINDS = {"native_tx": ("tx_hash",), "internal_tx": ("tx_hash", "sender"), "erc20_from": ("token", "sender"),
         "cosmos_from": ("chain", "token", "sender", "decimals", "asset")}  # fmt: skip
ADDRESS = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
BECH32 = re.compile(r"[a-z]{1,20}1[02-9ac-hj-np-z]{38,58}", re.ASCII)  # an address of a Cosmos chain
_BLOCK = re.compile(r"[1-9]\d{0,11}", re.ASCII)
_FORMS = {"tx_hash": HASH, "token": ADDRESS, "sender": ADDRESS, "from_block": _BLOCK, "to_block": _BLOCK}
_COSMOS = {"token": re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}"), "chain": re.compile(r"[a-z0-9]{2,20}"),
           "sender": BECH32, "decimals": re.compile(r"[0-9]|1[0-8]")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Transfer:
    """`units` of a coin that moved in a transaction; of several in one, `place` tells them apart."""

    tx_hash: str
    place: str
    block: int
    day: date
    at: datetime | None
    sender: str
    recipient: str
    token: str  # its contract, or "" for ether
    units: int
    decimals: int | None  # None: nobody says, so that there is no amount
    chain: str = "ethereum"


@dataclass(frozen=True, slots=True)
class Watched:
    """A line of the watch list: which transfers prove what (`proves`) of which incident or payout (`subject_id`)."""

    subject_id: str
    proves: str
    kind: str
    tx_hash: str
    token: str
    sender: str
    from_block: int
    to_block: int
    chain: str = ""  # these three of a Cosmos chain only
    decimals: str = ""
    asset: str = ""

    def covers(self, t: Transfer) -> bool:
        """Whether a transfer is one that this line watches."""
        if self.kind == "cosmos_from" and t.chain != self.chain:
            return False
        if not self.kind.endswith("_from"):
            within = t.place.startswith(INTERNAL)
            return not t.token and t.tx_hash == self.tx_hash and within == (self.kind == "internal_tx")
        return (t.token, t.sender) == (self.token, self.sender) and self.from_block <= t.block <= self.to_block


def watched(path: Path) -> tuple[Watched, ...]:
    """The watch list in a file. A line that cannot be asked for is refused."""
    return tuple(map(_line, listed(path, FIELDS)))


def feed(watch: tuple[Watched, ...]) -> Feed:
    """A node's feed of the transfers that are watched; without a line nothing is asked."""
    return Feed(
        name="transfers", kind="WINDOW", clock="onchain", shape="event", media="json", parse=partial(parse, watch),
        restates="none", release=Release("UTC247", 1, "01:00"), requests=lambda _: requests(watch),
    )  # fmt: skip


def _line(said: dict[str, str]) -> Watched:
    forms = _FORMS | (_COSMOS if said["kind"] == "cosmos_from" else {})
    for name in ("subject_id", "proves", "from_block", "to_block", *KINDS.get(said["kind"], ("kind",))):
        if not said[name] or not forms.get(name, re.compile(".+")).fullmatch(said[name]) or said["kind"] not in KINDS:
            raise refuse(f"{name} of a watched transfer: {said[name][:70]!r}", "G1.token", "correct the watch list")
    first, last = int(said["from_block"]), int(said["to_block"])
    if not first <= last or (last >= first + MAX_BLOCKS and said["kind"] != "cosmos_from"):
        raise refuse(f"blocks {first} to {last} are not a span of {MAX_BLOCKS} at most", "G1.range", "split the line")
    return Watched(**said | {"from_block": first, "to_block": last})


def requests(watch: Iterable[Watched]) -> Iterator[Request]:
    """A batch of three calls for each line: the transaction, its receipt and its block; or the logs, the token's
    decimals and the last block of the span."""
    for line in watch:
        if line.kind in ("internal_tx", "cosmos_from"):
            continue
        header = ("eth_getBlockByNumber", hex(line.to_block), False)
        if line.kind == "native_tx":
            calls = [(f"eth_getTransaction{part}", line.tx_hash) for part in ("ByHash", "Receipt")]
        else:
            topics = [TRANSFER, "0x" + line.sender[2:].rjust(64, "0")]
            logs = {"address": line.token, "topics": topics, "fromBlock": hex(line.from_block),
                    "toBlock": hex(line.to_block)}  # fmt: skip
            decimals = {"to": line.token, "data": "0x" + SELECTORS["decimals()"]}
            calls = [("eth_getLogs", logs), ("eth_call", decimals, "finalized")]
        yield batch(*calls, header)


def parse(watch: Iterable[Watched], payload: Payload) -> Parsed:
    """Every transfer that a batch tells, with what it proves where it is watched. Raises `ContractError`."""
    first, second, header = results(payload.body, 3)
    if not first or not second or not header:
        raise refuse("an empty answer is no proof: nodes prune", "G1.empty", "ask a node that keeps the whole chain")
    at = datetime.fromtimestamp(quantity(member(header, "timestamp", str), 40), UTC)
    if at > payload.seen_at - FINAL:
        raise refuse("a block that may not be final yet", "G1.future", "ask again later")
    found = _logs(first, second, at) if isinstance(first, list) else [_transaction(first, second, header, at)]
    parsed = told(found, watch)
    if not parsed.rows:
        raise refuse("nothing was moved", "G1.empty")
    return parsed


def told(found: Iterable[Transfer], watch: Iterable[Watched]) -> Parsed:
    """Transfers as events, an attribute a row. One of nothing is none: anybody may write it into another's list."""
    watch, rows, days = list(watch), [], []
    symbols = {address: symbol for symbol, address in TOKENS.items()} | {"": NATIVE}
    for t in found:
        if t.units == 0:
            continue
        if (t.decimals or 0) > MAX_DECIMALS:
            raise refuse(f"{t.decimals} decimals", "G1.range")
        said = {"tx_hash": t.tx_hash, "block": str(t.block), "sender": t.sender, "recipient": t.recipient,
                "asset": symbols.get(t.token, t.token)}  # fmt: skip
        if t.decimals is None:
            said["units"] = str(t.units)
        for line in [line for line in watch if line.covers(t)][:1]:
            said |= {"subject_id": line.subject_id, "proves": line.proves, "asset": line.asset or said["asset"]}
        days.append(t.day)
        same = {"event_id": f"TRANSFER.{t.chain}.{t.tx_hash}.{t.place}", "kind": "TRANSFER", "event_date": t.day,
                "event_at": t.at, "published_at": t.at, "locator": f"block={t.block} tx={t.tx_hash}"}  # fmt: skip
        rows += [Event(**same, attribute=name, value_text=text, value_raw=text) for name, text in said.items()]
        if t.decimals is not None:
            amount = above_zero(Decimal(t.units).scaleb(-t.decimals, CONTEXT), f"an amount in {t.tx_hash}")
            rows.append(Event(**same, attribute="amount", value=amount, unit="coin", value_raw=str(t.units)))
    return page("event", rows, days)


def _transaction(tx: object, receipt: object, header: object, at: datetime) -> Transfer:
    """Ether that a transaction of its own moved: one that succeeded, and that all three answers are about."""
    hashes = {member(tx, "hash", str), member(receipt, "transactionHash", str)}
    blocks = {member(tx, "blockNumber", str), member(receipt, "blockNumber", str), member(header, "number", str)}
    if len(hashes) != 1 or len(blocks) != 1:
        raise refuse("three answers about different transactions or blocks", "G1.conflict")
    if (status := member(receipt, "status", str)) != "0x1":
        raise refuse(f"the transaction failed: status {status[:10]!r}", "G1.status")
    return Transfer(
        matching(HASH, *hashes), "0", quantity(*blocks), at.date(), at, matching(ADDRESS, member(tx, "from", str)),
        matching(ADDRESS, member(tx, "to", str)), "", quantity(member(tx, "value", str)), NATIVE_DECIMALS,
    )  # fmt: skip


def _logs(logs: list, decimals: object, at: datetime) -> Iterator[Transfer]:
    """Transfers of a token. Not every node dates its logs: then the day is that of the span's last block."""
    places = int.from_bytes(data(member(decimals, None, str)))
    for log in logs:
        topics, stamp = member(log, "topics", list), log.get("blockTimestamp")
        if member(log, "removed", bool) or len(topics) != 3 or topics[0] != TRANSFER:
            raise refuse("not a log of a transfer that stands", "G1.token")
        moved = None if stamp is None else datetime.fromtimestamp(quantity(stamp, 40), UTC)
        if moved and moved > at:
            raise refuse("a log later than the last block", "G1.future")
        sender, recipient = (matching(ADDRESS, _party(topic)) for topic in topics[1:])
        yield Transfer(
            matching(HASH, member(log, "transactionHash", str)), str(quantity(member(log, "logIndex", str))),
            quantity(member(log, "blockNumber", str)), (moved or at).date(), moved, sender, recipient,
            matching(ADDRESS, member(log, "address", str)), _units(member(log, "data", str)), places,
        )  # fmt: skip


def _party(topic: object) -> str:
    text = matching(HASH, topic)
    return "0x" + text[26:] if text[2:26] == "0" * 24 else text


def _units(text: str) -> int:
    if not DATA.fullmatch(text) or len(text) != 66:
        raise refuse(f"not one word: {text[:70]!r}", "G1.truncated")
    return int(text, 16)


def matching(form: re.Pattern, text: object) -> str:
    """A hash or an address in lower case; anything else is refused."""
    if not isinstance(text, str) or not form.fullmatch(text.lower()):
        raise refuse(f"neither hash nor address: {str(text)[:70]!r}", "G1.token")
    return text.lower()
