"""A node of Ethereum on loopback that answers from what a test says the chain is: calls of contracts are decoded word
by word, as a contract would read them."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.wire import Wire, answer

REVERT = None
Word = int | None


def _word(n: int) -> str:
    return f"{n:064x}"


@dataclass(slots=True)
class Node:
    """`words` is what a call returns, by (contract, selector). A method in `refuses` is answered with that error."""

    words: dict[tuple[str, str], Word] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Callable[[list], object]] = field(default_factory=dict)

    def __call__(self, wire: Wire, connection: socket.socket, n: int) -> None:
        """The behaviour of a `Wire`: one JSON-RPC call a request, or a batch, whose answers come in any order."""
        asked = json.loads(wire.heads[n].partition(b"\r\n\r\n")[2])
        said = [self._one(call) for call in reversed(asked)] if isinstance(asked, list) else self._one(asked)
        answer(json.dumps(said).encode(), content_type="application/json")(wire, connection, n)

    def _one(self, asked: dict) -> dict:
        said = {"jsonrpc": "2.0", "id": asked["id"]}
        if error := self.refuses.get(asked["method"]):
            return said | {"error": {"code": -32000, "message": error}}
        return said | {"result": ({"eth_call": self._call} | self.answers)[asked["method"]](asked["params"])}

    def _call(self, params: list) -> str:
        """A call in the block that is final: its word, or of `aggregate3` every call's success and word."""
        call, block = params
        body = bytes.fromhex(call["data"][2:])
        assert block == "finalized"
        if (call["to"], body.hex()) in self.words:
            return "0x" + _word(self.words[call["to"], body.hex()])
        assert body[:4].hex() == "82ad56cb"
        at = [int.from_bytes(body[n : n + 32]) for n in range(4, len(body), 32)]
        base = at[0] // 32 + 1
        parts = []
        for offset in at[base : base + at[base - 1]]:
            start = 4 + 32 * base + offset
            target, _, where, size = (int.from_bytes(body[start + 32 * n : start + 32 * n + 32]) for n in range(4))
            asked = body[start + where + 32 : start + where + 32 + size]
            word = self.words[f"0x{target:040x}", asked.hex()]
            parts.append(_word(0) + _word(64) + _word(0) if word is REVERT
                         else _word(1) + _word(64) + _word(32) + _word(word))  # fmt: skip
        starts = [32 * len(parts) + sum(len(p) for p in parts[:n]) // 2 for n in range(len(parts))]
        return "0x" + _word(32) + _word(len(parts)) + "".join(map(_word, starts)) + "".join(parts)
