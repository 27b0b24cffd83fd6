"""Ethereum as its public nodes tell it: answers of JSON-RPC, words of contracts, and the supply of tokens in one block.

A node transcribes the chain: two that agree are two publishers of one lineage, and two that differ at one block are in
conflict. Quantities are whole numbers of a token's smallest unit; how many of them make a coin is asked, never assumed.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from include.core.page import page
from include.core.parse import CONTEXT, above_zero, member, read_json, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Payload, Request

MULTICALL = "0xca11bde05977b3631167028862be2a173976ca11"  # asks several contracts in one call, so in one block
TOKENS = {
    "USDT": "0xdac17f958d2ee523a2206206994597c13d831ec7",
    "USDC": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
    "DAI": "0x6b175474e89094c44da98b954eedeac495271d0f",
    "USDE": "0x4c9edd5852cd905f086c759e8383e09bff1e68b3",
}
# The first four bytes of the Keccak-256 of each function's signature; none of those asked takes an argument.
SELECTORS = {
    "aggregate3((address,bool,bytes)[])": "82ad56cb",
    "getChainId()": "3408e470",
    "getBlockNumber()": "42cbb15c",
    "getCurrentBlockTimestamp()": "0f28c97d",
    "decimals()": "313ce567",
    "totalSupply()": "18160ddd",
}
CALLS = [(MULTICALL, name) for name in ("getChainId()", "getBlockNumber()", "getCurrentBlockTimestamp()")]
CALLS += [(token, name) for token in TOKENS.values() for name in ("decimals()", "totalSupply()")]
MAINNET = 1
MAX_DECIMALS = 18  # the ledger's own
STALE = timedelta(days=1)
DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)
_QUANTITY = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,63})", re.ASCII)


def rpc(method: str, *params: object, number: int = 1) -> dict:
    """One call of JSON-RPC 2.0."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def batch(*calls: tuple) -> Request:
    """Several calls in one request, each a method and its parameters; `results` reads the answer."""
    return Request("/", method="POST", json=[rpc(*call, number=n) for n, call in enumerate(calls, 1)])


def result(said: object, number: int = 1) -> object:
    """What one call answered; an error that comes with HTTP 200 is refused (rule G1.api_error)."""
    if isinstance(said, dict) and said.get("error") is not None:
        raise refuse("the node answers with an error", "G1.api_error", "the other host may answer; ask again later")
    if member(said, "jsonrpc", str) != "2.0" or member(said, "id", int) != number:
        raise refuse("not the answer to our call", "G1.columns")
    return member(said, "result", object)


def results(body: bytes, n: int) -> list[object]:
    """What each of `n` calls of a batch answered, in the order in which they were asked."""
    said = read_json(body)
    if isinstance(said, dict):
        result(said)
    found = {member(one, "id", int): one for one in member(said, None, list)}
    if len(said) != n or sorted(found) != list(range(1, n + 1)):
        raise refuse(f"not {n} answers", "G1.shape")
    return [result(found[number], number) for number in range(1, n + 1)]


def quantity(text: object, bits: int = 256) -> int:
    """A whole number written as `0x` and its digits, of so many bits at most."""
    if not isinstance(text, str) or not _QUANTITY.fullmatch(text) or int(text, 16) >> bits:
        raise refuse(f"not a quantity: {str(text)[:40]!r}", "G1.type")
    return int(text, 16)


def data(text: str) -> bytes:
    """Bytes written as `0x` and two digits each."""
    if not DATA.fullmatch(text):
        raise refuse(f"not bytes in hexadecimal: {text[:40]!r}", "G1.truncated" if len(text) % 2 else "G1.type")
    return bytes.fromhex(text[2:])


def supply_request() -> Request:
    """Every call of `CALLS` at once, in the newest block that is final."""
    parts = [_call(target, SELECTORS[name]) for target, name in CALLS]
    starts = "".join(_word(32 * len(parts) + sum(len(part) for part in parts[:n]) // 2) for n in range(len(parts)))
    asked = "0x" + SELECTORS["aggregate3((address,bool,bytes)[])"] + _word(32) + _word(len(parts)) + starts
    call = {"to": MULTICALL, "data": asked + "".join(parts)}
    return Request("/", method="POST", json=rpc("eth_call", call, "finalized"))


def _word(number: int) -> str:
    return f"{number:064x}"


def _call(target: str, selector: str) -> str:
    """One `(address, may fail, bytes)`: a call that fails says so in its place instead of failing all."""
    return target[2:].rjust(64, "0") + _word(1) + _word(96) + _word(4) + selector.ljust(64, "0")


def words(answer: bytes, n: int) -> Iterator[int]:
    """The one word that each of `n` calls returned, from the `(success, bytes)[]` of `aggregate3`.

    The layout is the one that the ABI prescribes and no other. A reverted call is refused (rule G1.api_error).
    """
    found = [int.from_bytes(answer[at : at + 32]) for at in range(0, len(answer), 32)]
    if len(answer) % 32 or found[:2] != [32, n]:
        raise refuse("not the answer of so many calls", "G1.layout")
    for number, offset in enumerate(found[2 : 2 + n]):
        part = found[2 + offset // 32 : 6 + offset // 32]
        if part[:1] == [0]:
            raise refuse(f"{CALLS[number][1]} of {CALLS[number][0]} was reverted", "G1.api_error")
        if offset % 32 or part[:3] != [1, 64, 32] or len(part) != 4:
            raise refuse(f"{CALLS[number][1]} did not return one word", "G1.layout")
        yield part[3]
    if len(found) != 2 + 5 * n:
        raise refuse("more words than calls returned", "G1.layout")


def parse_supply(payload: Payload) -> Parsed:
    """Supply of each token that its contract states in one final block, at most a day old. Raises `ContractError`."""
    told = words(data(member(result(read_json(payload.body)), None, str)), len(CALLS))
    chain, block, stamp, *states = told
    if chain != MAINNET:
        raise refuse(f"chain {chain} instead of {MAINNET}", "G1.token")
    age = int(payload.seen_at.timestamp()) - stamp
    if age < 0:
        raise refuse(f"block {block} lies in the future", "G1.future")
    if age > STALE.total_seconds():
        raise refuse(f"block {block} is {age // 3600} hours old", "G1.date", "the node lags behind: ask again later")
    at = datetime.fromtimestamp(stamp, UTC)
    rows = []
    for symbol, decimals, units in zip(TOKENS, states[::2], states[1::2], strict=True):
        if decimals > MAX_DECIMALS:
            raise refuse(f"{symbol} has {decimals} decimals", "G1.range")
        coins = above_zero(Decimal(units).scaleb(-decimals, CONTEXT), f"the supply of {symbol}")
        rows.append(
            Observation(series_id=f"SUPPLY.{symbol}.ETHEREUM", event_date=at.date(), value=coins, unit="coin",
                        value_raw=str(units), published_at=at, locator=f"block={block} totalSupply of {TOKENS[symbol]}")
        )  # fmt: skip
    return page("observation", rows, [at.date()])
