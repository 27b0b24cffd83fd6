"""What is asked of the chain: selectors are those of their signatures, by Keccak-256 written out here."""

from include.core.ethereum import SELECTORS
from include.core.transfers import TRANSFER

_MASK, _RATE = (1 << 64) - 1, 136
_ROTATIONS = ((0, 36, 3, 41, 18), (1, 44, 10, 45, 2), (62, 6, 43, 15, 61), (28, 55, 25, 21, 56), (27, 20, 39, 8, 14))


def _constants() -> list[int]:
    """The 24 round constants, from the linear feedback shift register of FIPS 202."""
    state, out = 1, []
    for _ in range(24):
        word = 0
        for power in range(7):
            if state & 1:
                word |= 1 << ((1 << power) - 1)
            state = (state << 1) ^ (0x171 if state & 0x80 else 0)
        out.append(word)
    return out


def _left(word: int, by: int) -> int:
    return ((word << by) | (word >> (64 - by))) & _MASK


def _permute(a: list[list[int]]) -> list[list[int]]:
    for constant in _constants():
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[(x - 1) % 5] ^ _left(c[(x + 1) % 5], 1) for x in range(5)]
        b = [[0] * 5 for _ in range(5)]
        for x in range(5):
            for y in range(5):
                b[y][(2 * x + 3 * y) % 5] = _left(a[x][y] ^ d[x], _ROTATIONS[x][y])
        a = [[b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
        a[0][0] ^= constant
    return a


def keccak_256(message: bytes) -> str:
    """The digest in hexadecimal of a message shorter than one block, with Keccak's own padding (0x01)."""
    block = (message + b"\x01").ljust(_RATE, b"\x00")
    block = block[:-1] + bytes([block[-1] | 0x80])
    a = [[0] * 5 for _ in range(5)]
    for n in range(_RATE // 8):
        a[n % 5][n // 5] = int.from_bytes(block[8 * n : 8 * n + 8], "little")
    a = _permute(a)
    return b"".join(a[n % 5][n // 5].to_bytes(8, "little") for n in range(4)).hex()


def test_selectors_are_those_of_their_signatures() -> None:
    """The digest of nothing is published; the others follow."""
    assert keccak_256(b"") == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert "0x" + keccak_256(b"Transfer(address,address,uint256)") == TRANSFER
    assert {name: keccak_256(name.encode())[:8] for name in SELECTORS} == SELECTORS
