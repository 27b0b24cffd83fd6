"""Chains of the Cosmos SDK (0.50) as their public REST nodes tell them: transfers of a sender, from events.

An answer does not say how many decimals a coin has, so that the line of the watch list does: a transfer that no line
watches has units and no amount. A list is taken whole or not at all, and an empty one proves nothing, for nodes prune.
What an answer cannot tell is whether the span's last block is there yet: so its newest transfer must be an hour old.

Answers and their paging: `GetTxsEvent` of cosmos.tx.v1beta1.Service, docs.cosmos.network (REST, tx).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from include.core.parse import instant, member, read_json, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request
from include.core.transfers import BECH32, FINAL, Transfer, Watched, matching, told

MOST = 100  # transactions in an answer, by the node's own limit
_COIN = re.compile(r"(\d{1,78})([a-zA-Z][a-zA-Z0-9/:._-]{2,127})", re.ASCII)
_HASH = re.compile(r"[0-9A-F]{64}", re.ASCII)
_WHOLE = re.compile(r"0|[1-9]\d{0,11}", re.ASCII)


def requests(watch: Iterable[Watched]) -> Iterator[Request]:
    """What each line's sender sent in its span."""
    for line in watch:
        span = f"tx.height>={line.from_block} AND tx.height<={line.to_block}"
        yield Request("/cosmos/tx/v1beta1/txs", (
            ("query", f"transfer.sender='{line.sender}' AND {span}"), ("order_by", "ORDER_BY_ASC"), ("page", "1"),
            ("limit", str(MOST)),
        ))  # fmt: skip


def parse(chain: str, watch: tuple[Watched, ...], payload: Payload) -> Parsed:
    """Every transfer in a list of transactions, with what those that are watched prove. Raises `ContractError`."""
    answer = member(read_json(payload.body), None, dict)
    if "code" in answer and "message" in answer:
        raise refuse(f"the node answers {str(answer['message'])[:80]!r}", "G1.api_error", "ask again later")
    listed, total = member(answer, "tx_responses", list), _whole(member(answer, "total", str))
    if not listed:
        raise refuse("an empty answer is no proof: nodes prune", "G1.empty", "ask a node that keeps the whole chain")
    if total != len(listed):
        raise refuse(f"{len(listed)} transactions of {total}", "G1.truncated", "split the line of the watch list")
    parsed = told((t for tx in listed for t in _transfers(chain, watch, tx, payload)), watch)
    if not parsed.rows:
        raise refuse("nothing was moved", "G1.empty")
    return parsed


def feed(chain: str, watch: tuple[Watched, ...], read: Callable = parse) -> Feed:
    """A node's feed of what is watched on `chain`; without a line nothing is asked.

    `read` is `parse` under a source file's own name: a feed belongs to the folder of its parser.
    """
    mine = tuple(line for line in watch if line.chain == chain)
    return Feed(
        name="transfers", kind="WINDOW", clock="onchain", shape="event", media="json", restates="none",
        parse=partial(read, chain, mine), release=Release("UTC247", 1, "01:00"), requests=lambda _: requests(mine),
    )  # fmt: skip


def _transfers(chain: str, watch: tuple[Watched, ...], tx: object, payload: Payload) -> Iterator[Transfer]:
    """What the messages of a transaction moved. One that failed moved nothing but its fee, which is no message's."""
    tx_hash, height = member(tx, "txhash", str), _whole(member(tx, "height", str))
    if not _HASH.fullmatch(tx_hash):
        raise refuse(f"not a hash: {tx_hash[:70]!r}", "G1.token")
    if (at := instant(member(tx, "timestamp", str))) > payload.seen_at - FINAL:
        raise refuse("a transfer that may not be the last of its span", "G1.future", "ask again later")
    code, events = member(tx, "code", int), [_event(event) for event in member(tx, "events", list)]
    if code:
        return
    if not any("msg_index" in said for _, said in events):
        raise refuse("no event names its message: a node older than SDK 0.50, or keys in base64", "G1.layout")
    for place, (kind, said) in enumerate(events):
        if kind != "transfer" or "msg_index" not in said:
            continue
        sender = matching(BECH32, said.get("sender") or _spender(events, said["msg_index"]))
        recipient = matching(BECH32, said.get("recipient"))
        for n, (units, denom) in enumerate(_coins(member(said, "amount", str))):
            places = [int(line.decimals) for line in watch if (line.sender, line.token) == (sender, denom)]
            yield Transfer(tx_hash, f"{place}.{n}", height, at.date(), at, sender, recipient, denom, units,
                           places[0] if places else None, chain)  # fmt: skip


def _event(event: object) -> tuple[str, dict[str, object]]:
    """An event's type and its attributes, in whatever order they stand."""
    said: dict[str, object] = {}
    kind = member(event, "type", str)
    for attribute in member(event, "attributes", list):
        key, value = member(attribute, "key", str), attribute.get("value")
        if kind == "transfer" and said.get(key, value) != value:
            raise refuse(f"two values for {key[:20]!r} in one transfer", "G1.conflict")
        said[key] = value
    return kind, said


def _spender(events: list[tuple[str, dict[str, object]]], message: object) -> object:
    """Who sent what a transfer to many does not say: the only one that spent anything in the message."""
    found = [said.get("spender") for kind, said in events if (kind, said.get("msg_index")) == ("coin_spent", message)]
    if not found or any(spender != found[0] for spender in found):
        raise refuse("a transfer without a sender", "G1.columns")
    return found[0]


def _coins(text: str) -> Iterator[tuple[int, str]]:
    for coin in filter(None, text.split(",")):
        if not (found := _COIN.fullmatch(coin)):
            raise refuse(f"not an amount of a coin: {coin[:70]!r}", "G1.type")
        yield int(found[1]), found[2]


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise refuse(f"not a whole number: {text[:40]!r}", "G1.type")
    return int(text)
