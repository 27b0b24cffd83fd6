"""Etherscan: what an index of Ethereum lists of watched senders, ether within transactions included.

The service counts from the same chain as the nodes: a third teller of one lineage. Everything is text; an error comes
with HTTP 200, and so does the valid answer that nothing was found.
"""

import re
from collections.abc import Iterator
from datetime import UTC
from functools import partial
from pathlib import Path

from include.core.errors import ContractError
from include.core.parse import epoch_ms, member, not_after, read_json, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window
from include.core.transfers import ADDRESS, HASH, INTERNAL, NATIVE_DECIMALS, Transfer, Watched, matching, told, watched

ACTIONS = {"native_tx": "txlist", "internal_tx": "txlistinternal", "erc20_from": "tokentx"}
PAGE = 1000  # rows of an answer; the service gives ten pages of so many at most
_DIGITS = re.compile(r"\d{1,78}", re.ASCII)


def requests(watch: tuple[Watched, ...], _: Window) -> Iterator[Request]:
    """The first page of each line that names a sender: the service lists by address."""
    for line in watch:
        if line.sender and line.kind in ACTIONS:
            contract = [("contractaddress", line.token)] if line.kind == "erc20_from" else []
            yield Request("/v2/api", (
                ("chainid", "1"), ("module", "account"), ("action", ACTIONS[line.kind]), ("address", line.sender),
                *contract, ("startblock", str(line.from_block)), ("endblock", str(line.to_block)), ("page", "1"),
                ("offset", str(PAGE)), ("sort", "asc"),
            ))  # fmt: skip


def next_page(request: Request, body: bytes) -> Request | None:
    """A full page is followed by another one."""
    try:
        full = len(member(read_json(body), "result", list)) >= PAGE
    except ContractError:
        return None  # the page itself was refused when it was parsed
    params = dict(request.params)
    return Request(request.path, tuple((params | {"page": str(int(params["page"]) + 1)}).items())) if full else None


def parse(watch: tuple[Watched, ...], payload: Payload) -> Parsed:
    """Transfers that succeeded, with what those that are watched prove. Raises `ContractError`."""
    answer = member(read_json(payload.body), None, dict)
    status, message, items = member(answer, "status", str), member(answer, "message", str), answer.get("result")
    if (status, message, items) == ("0", "No transactions found", []):
        return Parsed()
    if status != "1":
        raise refuse(f"the service answers {message[:40]!r}: {str(items)[:80]!r}", "G1.api_error", "ask again later")
    if not member(answer, "result", list):
        raise refuse("a result without rows", "G1.empty")
    found = [_transfer(item) for item in items if not _moves_nothing(item)]
    for t in found:
        not_after(t.day, payload.seen_at.astimezone(UTC).date(), "a transfer of")
    return told(found, watch)


def _moves_nothing(item: object) -> bool:
    """A transaction that failed, or one that creates a contract."""
    failed = member(item, "isError", str) != "0" if "isError" in member(item, None, dict) else False
    return failed or (member(item, "to", str) == "" and "tokenDecimal" not in item)


def _transfer(item: dict) -> Transfer:
    token = member(item, "contractAddress", str)
    if not token and "isError" not in item:
        raise refuse("neither a token nor a transaction", "G1.columns")
    at = epoch_ms(member(item, "timeStamp", str) + "000")
    sender, recipient = (matching(ADDRESS, member(item, side, str)) for side in ("from", "to"))
    units = _whole(item, "value")
    place = f"{recipient}.{units}" if token else f"{INTERNAL}{item['traceId']}" if "traceId" in item else "0"
    return Transfer(
        matching(HASH, member(item, "hash", str)), place, _whole(item, "blockNumber"), at.date(), at, sender, recipient,
        matching(ADDRESS, token) if token else "", units, _whole(item, "tokenDecimal") if token else NATIVE_DECIMALS,
    )  # fmt: skip


def _whole(item: dict, key: str) -> int:
    text = member(item, key, str)
    if not _DIGITS.fullmatch(text):
        raise refuse(f"{key} is not a whole number: {text[:40]!r}", "G1.type")
    return int(text)


WATCH = watched(Path(__file__).with_name("transfer_watch.csv"))
SOURCE = Source(
    source_id="etherscan",
    title="Etherscan: transfers of watched senders",
    base_url="https://api.etherscan.io",
    lineage_root="ethereum",
    evidence_kind="transcription",
    rank=7,
    licence="free plan with a key, 3 calls a second and 100,000 a day; its terms ask for attribution",
    credit="Powered by Etherscan.io APIs",
    verified="documented",
    min_interval_s=0.5,
    key_env="ETHERSCAN_API_KEY",
    key_param="apikey",
    key_required=True,
    feeds=(
        Feed(
            name="transfers", kind="WINDOW", clock="onchain", shape="event", media="json", parse=partial(parse, WATCH),
            restates="none", release=Release("UTC247", 1, "01:00"), requests=partial(requests, WATCH), follow=next_page,
            empty_ok="nothing was sent in the span",
        ),
    ),
)  # fmt: skip
