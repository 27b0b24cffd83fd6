"""Big payloads as columns: a list of flat JSON records becomes Arrow columns block by block, never Python objects.

`Columnar` stands where a feed names its parser. Landing reads it by `batches`; called like any parser it gives the same
rows as objects, so recorded cases and the contract test need nothing else. What it gives up, and what it costs, is in
decision 0010: a repeated cell is refused even if it is the same to the letter, members that are not declared are not
looked at, records hold no list of objects, and all are parted by the same bytes, as every serialiser does.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from include.core.errors import ContractError
from include.core.parse import CONTEXT, PIECE, decode, member, read_json, read_part, refuse
from include.core.shapes import CELL_KEYS, INSTANT, ROW_TYPES, VALUE, Parsed
from include.core.source import Payload

BLOCK = 2 * PIECE  # bytes that are parsed at once
LONGEST = 16 * PIECE  # of one record, and of what stands before the first
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIST, _OPENED, _CLOSED = "records", b'{"records":[', b"]}\n"  # a line that Arrow reads
_OPENING = re.compile(rb"\[\s*(?=\{)")
_BETWEEN = re.compile(rb"\}(\s*,\s*)\{")
_CLOSING = re.compile(rb".*\}(?=\s*\])", re.DOTALL)
_RULES = (
    ("specified twice", "G1.duplicate_key"), ("changed from", "G1.type"), ("not a valid decimal", "G1.type"),
    ("Empty string", "G1.type"), ("couldn't parse", "G1.type"), ("data loss", "G1.range"), ("fit in", "G1.range"),
    ("requires", "G1.range"), ("cannot be represented", "G1.range"), ("out of bounds", "G1.date"),
)  # fmt: skip
# Arrow (26.0) makes another number of one of 21 digits, modulo 2^128, unless it passes through a wider type.
_WIDE = pa.decimal256(38, 18)
_MIX = np.int64(0x9E3779B97F4A7C15 - 2**64)  # odd, so that no bit of a column is lost
_TYPES = {"text": pa.string(), "decimal": pa.string(), "number": _WIDE, "millis": pa.int64()}


@dataclass(frozen=True, slots=True)
class Wire:
    """One member of a record: `text`, `decimal` (a number in quotes), `number`, or `millis` (since 1970, UTC).

    `optional`: null means no reading, and the key stands in every block all the same. `positive` refuses 0 and less,
    `pattern` (RE2) any text that it does not match as a whole.
    """

    name: str
    kind: Literal["text", "decimal", "number", "millis"] = "text"
    optional: bool = False
    positive: bool = False
    pattern: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columnar:
    """A parser of a list of records: which column of the shape comes from which member, or is always the same text.

    `at` names the members that lead to the list; () means that the payload is the list. `value_raw` is a column too,
    and so is `event_at`: without it a record is about the instant at which it was seen. Refusals are `ContractError`.
    """

    shape: str
    columns: dict[str, Wire | str]
    at: tuple[str, ...] = ()
    _schema: pa.Schema = field(init=False, repr=False)

    def __post_init__(self) -> None:
        wires = {w.name: pa.field(w.name, _TYPES[w.kind]) for w in self.columns.values() if isinstance(w, Wire)}
        object.__setattr__(self, "_schema", pa.schema([(_LIST, pa.list_(pa.struct(list(wires.values()))))]))

    def __call__(self, payload: Payload) -> Parsed:
        """The same rows as objects: for small payloads, the recorded cases and whoever compares."""
        kind, rows = ROW_TYPES[self.shape], []
        for batch in self.batches([payload.body], payload.seen_at):
            rows += [kind(**self.same | row) for row in batch.to_pylist()]
        days = sorted({row.event_date for row in rows})
        return Parsed(rows, days[0] if days else None, days[-1] if days else None)

    def batches(self, pieces: Iterable[bytes], seen_at: datetime) -> Iterator[pa.RecordBatch]:
        """Columns without `same` and provenance. Nothing counts before the end was reached without a refusal."""
        first, keys = 0, []
        for text in self.records(pieces):
            records, (count,) = self.read([text])
            batch = self.rows(records, seen_at)
            keys.append(self.keys(batch))
            yield located(batch, np.arange(first, first + count))
            first += count
        refuse_repeats(keys)

    def records(self, pieces: Iterable[bytes]) -> Iterator[bytearray]:
        """A payload's records as they stand on the wire with commas between, about BLOCK bytes a time; not parsed."""
        due = [w for w in self.columns.values() if isinstance(w, Wire) and w.optional]
        for text in _blocks(pieces, self.at):
            for wire in due:
                if f'"{wire.name}"'.encode() not in text:
                    raise refuse(f"no {wire.name!r} where one is due", "G1.columns")
            yield text

    def read(self, texts: Sequence[bytearray]) -> tuple[pa.StructArray, list[int]]:
        """The declared members of some texts of records, as they stand on the wire, and how many records each text has.

        Arrow reads each text as a line of its own. What is refused in any of them is refused as a whole.
        """
        lines = b"".join(piece for text in texts for piece in (_OPENED, text, _CLOSED))
        if not lines.isascii():
            decode(lines, "utf-8")
        for text in texts:
            if b"]" in text:  # it may end the list that it is put into, and begin something that nobody looks at
                read_part(b"[" + text + b"]", list[msgspec.Raw])
        try:
            table = pj.read_json(
                pa.BufferReader(lines), pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
                pj.ParseOptions(self._schema, newlines_in_values=any(b"\n" in text for text in texts),
                                unexpected_field_behavior="ignore"),
            )  # fmt: skip
        except pa.ArrowInvalid as error:
            raise _refusal(error) from None
        lists = table[_LIST].combine_chunks()
        records = lists.flatten()
        if len(lists) != len(texts) or records.null_count:
            raise refuse("not a list of records", "G1.syntax")
        return records, lists.value_lengths().to_pylist()

    def keys(self, batch: pa.RecordBatch) -> np.ndarray:
        """64 bits a cell: a million in 8 MB, of which two differ and look the same once in ten million payloads."""
        keys = np.zeros(batch.num_rows, np.int64)
        for name in CELL_KEYS[self.shape]:
            if isinstance(self.columns.get(name), Wire):
                cells = batch[name].dictionary_encode("encode")
                hashes = np.fromiter(map(hash, cells.dictionary.to_pylist()), np.int64)
                keys = keys * _MIX + hashes[np.frombuffer(cells.indices.buffers()[1], np.int32, len(keys))]
        return keys

    def rows(self, records: pa.StructArray, seen_at: datetime) -> pa.RecordBatch:
        """What was read of payloads that were seen at one instant, as columns; without their places and `same`."""
        wires = {name: wire for name, wire in self.columns.items() if isinstance(wire, Wire)}
        out = {name: _column(records.field(wire.name), wire) for name, wire in wires.items()}
        out.setdefault("event_at", constant(seen_at, INSTANT, len(records)))
        out["event_date"] = pc.cast(out["event_at"], pa.date32())
        latest = pc.max(out["event_date"]).as_py()
        if latest > seen_at.astimezone(UTC).date():
            raise refuse(f"a record of {latest} lies in the future", "G1.future")
        return pa.record_batch(out)

    @property
    def same(self) -> dict[str, str]:
        """The columns that are the same text in every row."""
        return {"obs_status": "final"} | {name: text for name, text in self.columns.items() if isinstance(text, str)}


def located(batch: pa.RecordBatch, places: np.ndarray) -> pa.RecordBatch:
    """The rows with the places of their records, counted from 0 in each payload."""
    locator = pa.Array.from_buffers(pa.int64(), batch.num_rows, [None, pa.py_buffer(places)])
    return batch.append_column("locator", locator.cast(pa.string()))


def refuse_repeats(keys: list[np.ndarray]) -> None:
    """Refuse (G1.conflict) a payload in which a cell stands twice; `keys` are those of all its records."""
    together = np.sort(np.concatenate(keys)) if keys else np.array([])
    if (together[1:] == together[:-1]).any():
        raise refuse("a cell stands twice", "G1.conflict")


def column(cells: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Cells (str, int, Decimal, date, datetime with a zone; None for no reading) in the `kind` of a shape.

    Made of bytes: `pa.array` and `pa.scalar` import pandas, which takes longer than a small landing.
    `ValueError` for a number that DECIMAL(38,18) does not hold exactly, `TypeError` for a cell of another kind.
    """
    present = np.fromiter((cell is not None for cell in cells), bool, len(cells))
    if not present.any():
        return pa.nulls(len(cells), kind)
    if not present.all():
        blank = _BLANK[kind]
        cells = [blank if cell is None else cell for cell in cells]
    mask = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, len(cells), [mask, *map(pa.py_buffer, _BUFFERS[kind](cells))])


def _texts(cells: Sequence[str]) -> tuple[np.ndarray, bytes]:
    data = "".join(cells)
    wire = data.encode()
    sized = cells if len(wire) == len(data) else [cell.encode() for cell in cells]
    ends = np.zeros(len(cells) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, sized), np.int32, len(cells)), out=ends[1:])
    return ends, wire


def _decimals(cells: Sequence[Decimal]) -> tuple[bytes]:
    scaled = [CONTEXT.multiply(cell, _ONE) for cell in cells]
    whole = list(map(int, scaled))
    if whole != scaled or max(map(abs, whole)) >= 10**38:
        raise ValueError("a number that DECIMAL(38,18) does not hold exactly")
    return (b"".join([number.to_bytes(16, "little", signed=True) for number in whole]),)


def _instants(cells: Sequence[datetime]) -> tuple[np.ndarray]:
    return (np.fromiter(((cell - _EPOCH) // _TICK for cell in cells), np.int64, len(cells)),)


def _days(cells: Sequence[date]) -> tuple[np.ndarray]:
    return (np.fromiter((cell.toordinal() for cell in cells), np.int32, len(cells)) - np.int32(_EPOCH.toordinal()),)


_ONE, _TICK = Decimal(10**18), timedelta(microseconds=1)
_BUFFERS: dict[pa.DataType, Callable[[Sequence[Any]], tuple]] = {
    pa.string(): _texts, VALUE: _decimals, INSTANT: _instants, pa.date32(): _days,
    pa.int64(): lambda cells: (np.array(cells, np.int64),), pa.int32(): lambda cells: (np.array(cells, np.int32),),
}  # fmt: skip
_BLANK = {pa.string(): "", VALUE: Decimal(0), INSTANT: _EPOCH, pa.date32(): _EPOCH, pa.int64(): 0, pa.int32(): 0}


@lru_cache(256)
def single(value: str | int | date | datetime | None, kind: pa.DataType) -> pa.Array:
    """One value as an array."""
    return column([value], kind)


def constant(value: str | int | datetime | None, kind: pa.DataType, n: int) -> pa.Array:
    """A value `n` times; a text as one value and `n` indices."""
    if isinstance(value, str):
        return pa.DictionaryArray.from_arrays(pa.repeat(_ZERO, n), single(value, kind))
    return pa.repeat(single(value, kind)[0], n)


_ZERO = single(0, pa.int32())[0]


def _column(cells: pa.Array, wire: Wire) -> pa.Array:
    """One member's cells in the type of the shape."""
    if cells.null_count and not wire.optional:
        raise refuse(f"no {wire.name!r} where one is due", "G1.columns")
    if wire.pattern and not pc.all(pc.match_substring_regex(pc.unique(cells), f"^(?:{wire.pattern})$")).as_py():
        raise refuse(f"{wire.name} holds an unknown token", "G1.token")
    try:
        if wire.kind == "decimal" and not _short(cells):
            cells = cells.cast(_WIDE)
        if wire.kind in ("decimal", "number"):
            cells = cells.cast(VALUE)
        elif wire.kind == "millis":
            cells = cells.cast(pa.timestamp("ms", "UTC")).cast(INSTANT)
    except pa.ArrowInvalid as error:
        raise _refusal(error, wire.name) from None
    if wire.positive and (least := pc.min(cells).as_py()) is not None and least <= 0:
        raise refuse(f"{wire.name} is not above zero", "G1.sign")
    return cells


def _short(texts: pa.Array) -> bool:
    """Whether no text can be a number of more than 20 digits before the point, which few are: `_WIDE` is slower."""
    longest, data = pc.max(pc.binary_length(texts)).as_py() or 0, texts.buffers()[2]
    letters = data.to_pybytes() if data else b""
    return longest <= 20 and b"e" not in letters and b"E" not in letters


def _refusal(error: pa.ArrowInvalid, name: str = "") -> ContractError:
    said = " ".join(str(error).split())
    rule = next((rule for words, rule in _RULES if words in said), "G1.syntax")
    return refuse(f"{name}: {said[:120]}" if name else said[:120], rule)


def _blocks(pieces: Iterable[bytes], at: tuple[str, ...]) -> Iterator[bytearray]:
    """Records with the commas between them, about BLOCK bytes at a time.

    A cut in a string or within a record leaves text that is no JSON, so it is refused when it is parsed. What stands
    around the list must be JSON too once the records are taken out of it, with an empty list where `at` leads.
    """
    buffer, head, between = bytearray(), b"", b""
    for piece in pieces:
        buffer += piece
        if not head and (found := _OPENING.search(buffer)):
            head = bytes(buffer[: found.end()])
            del buffer[: found.end()]
        if head and not between and (found := _BETWEEN.search(buffer)):
            between = found[1]
        cut = buffer.rfind(b"}" + between + b"{") if between and len(buffer) >= BLOCK else -1
        if cut > 0:
            yield buffer[: cut + 1]
            del buffer[: cut + 1 + len(between)]
        elif len(buffer) > LONGEST:
            raise refuse("no end of a record within 16 MiB", "G1.shape")
    if head:
        closing = _CLOSING.match(buffer)
        if not closing:
            raise refuse("the list has no end", "G1.syntax")
        text, buffer = buffer, buffer[closing.end() :]
        del text[closing.end() :]  # rather than a copy of what may be a whole payload
        yield text
    around: Any = read_json(head + bytes(buffer))
    for key in at:
        around = member(around, key, object)
    if member(around, None, list):
        raise refuse("a list of other things than records", "G1.shape")
