"""Rows from landed bytes: `rows/<shape>/<source>__<feed>/<span>__<hash>.parquet`, derived, whole, never edited.

A span is the UTC day on which payloads were seen, or a closed month. Its file is named by the hash of its inputs
(the sightings and the feed's declaration), so it is computed once. It holds runs (cell, value, first_seen, last_seen)
rather than sightings: a page that is polled all year says the same thing almost every time.

Of a feed that is read as columns (`core.columnar`) a span is one instant and holds its sightings as they are: a
snapshot of a million accounts is another one each time. It streams from the bytes to its file.
"""

import hashlib
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from include.core import disk
from include.core.calendars import released_at
from include.core.clock import parse_instant
from include.core.columnar import BLOCK, Columnar, column, constant, located, refuse_repeats, single
from include.core.errors import ContractError
from include.core.parse import inflate, inflating
from include.core.shapes import CELL_KEYS, CELL_VALUES, INSTANT, ROW_TYPES, SCHEMAS, VALUE, Parsed, Row
from include.core.source import Feed, Payload, Source
from include.landing.store import ACCEPTED, Attempt, Store

Sighting = tuple[str, str]  # (sha256, seen_at)
Seen = dict[Sighting, "Said"]
FORMAT = "2"  # of the derived files; raising it re-derives everything from raw
GROUP = 2**16  # rows that are written at once
HELD_ROWS = 100_000  # of a batch, as Arrow about 25 MB; what is more waits on disk
MERGE_MEMORY = "128MB"  # in which the sightings of a span are joined
_PAGE_NO = pa.field("page_no", pa.int64())  # of the instants at which pages were seen; those of a fetch share one
_APART = {"locator", "value_raw", "record_id", "account"}  # too many texts to be worth a dictionary


def to_table(source: Source, feed: Feed, attempt: Attempt, rows: list[Row]) -> pa.Table:
    """One payload's rows with their provenance, as an Arrow table of the feed's shape."""
    same, own = _same(source, feed, attempt), {f.name for f in fields(ROW_TYPES[feed.shape])}

    def cells(name: str) -> list:
        match name:
            case "lineage_root" | "evidence_kind":
                return [getattr(row, name) or getattr(source, name) for row in rows]
            case "vintage_kind":
                return ["publisher" if row.published_at else attempt.vintage_kind for row in rows]
            case "claimed_known_at" if attempt.vintage_kind == "pseudo" or not feed.revises:
                return [
                    released_at(feed.release, row.event_date)
                    if row.claimed_known_at is None and row.published_at is None
                    else row.claimed_known_at
                    for row in rows
                ]
        return [getattr(row, name) for row in rows] if name in own else [None] * len(rows)

    arrays = [
        pa.repeat(single(same[f.name], f.type)[0], len(rows)) if f.name in same else column(cells(f.name), f.type)
        for f in SCHEMAS[feed.shape]
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMAS[feed.shape])


class RowFile:
    """A Parquet file that grows on disk and gets its name when it is whole."""

    def __init__(self, folder: Path, schema: pa.Schema, **options: object):
        disk.make_dir(folder)
        fd, name = tempfile.mkstemp(prefix=".tmp-", dir=folder)
        os.close(fd)
        self.path = Path(name)
        self._writer = pq.ParquetWriter(name, schema, **{"compression": "zstd"} | options)

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()

    def place(self, path: Path) -> None:
        """Close the file and give it its name, durably. What stood there was cut."""
        self.close()
        disk.seal(self.path)
        disk.move(self.path, path)


@dataclass(frozen=True, slots=True)
class Said:
    """What one payload says: its rows in the order of cells, as Arrow or in a file that is whole, and its page row.

    `once`: no cell stands twice, so that of this payload alone the rows are the runs.
    """

    rows: pa.Table | RowFile
    page: dict
    once: bool

    def tables(self) -> Iterator[pa.Table]:
        """The rows, at most GROUP at a time if they stand in a file."""
        if isinstance(self.rows, pa.Table):
            yield self.rows
            return
        with pq.ParquetFile(self.rows.path) as file:
            yield from map(file.read_row_group, range(file.num_row_groups))

    def place(self, path: Path) -> None:
        """Make the rows the file at `path`."""
        if isinstance(self.rows, RowFile):
            self.rows.place(path)
        else:
            _write(path, self.rows)


def digest(source: Source, feed: Feed, attempt: Attempt, page: Parsed, folder: Path, room: int | None = None) -> Said:
    """What one payload says, compactly: in memory if it has no more than `room` rows, else in a file in `folder`."""
    key = attrgetter(*CELL_KEYS[feed.shape])
    try:
        ordered = sorted(page.rows, key=key)
    except TypeError:  # an instant beside none
        ordered = sorted(page.rows, key=lambda row: [(cell is None, cell) for cell in key(row)])
    once = all(key(row) != key(following) for row, following in pairwise(ordered))
    said = _page_row(source, feed, attempt, (len(ordered), page.scope_from, page.scope_to))
    if len(ordered) <= (HELD_ROWS if room is None else room):
        return Said(to_table(source, feed, attempt, ordered), said, once)
    file = RowFile(folder, SCHEMAS[feed.shape])
    for first in range(0, len(ordered), GROUP):
        file.write(to_table(source, feed, attempt, ordered[first : first + GROUP]))
    file.close()
    return Said(file, said, once)


@dataclass(slots=True)
class _Reading:
    """What a part knows of one payload so far."""

    attempt: Attempt
    some: bool = False
    n: int = 0  # of its records that are read
    days: list[date] = field(default_factory=list)
    keys: list[np.ndarray] = field(default_factory=list)
    error: ContractError | None = None


class Part:
    """A row file of a columnar feed while its payloads come in.

    Records wait until there are BLOCK bytes of them, of however many payloads, and are then parsed together: a page of
    a thousand records costs more to call Arrow for than to read. GROUP rows are in memory, what is before them on disk.
    """

    def __init__(self, home: Path, source: Source, feed: Feed):
        self.source, self.feed = source, feed
        self.torn = False  # a payload was found that is refused
        self._read: dict[Sighting, _Reading] = {}
        self._loose: list[tuple[_Reading, bytearray]] = []
        self._folder = index_of(home, source, feed).parent
        self._file: RowFile | None = None
        self._held: list[tuple[list[tuple[Attempt, int]], pa.RecordBatch]] = []

    def add(self, attempt: Attempt, body: Iterable[bytes]) -> bool:
        """Take the pieces of one payload in; returns whether it has records. How many, `finish` finds.

        `ContractError` at once or by `finish`: it is refused.
        """
        if said := self._read.get(_key(attempt)):
            return said.some
        said = self._read[_key(attempt)] = _Reading(attempt)
        try:
            for text in self.feed.parse.records(body):
                if self._loose and _seen_as(attempt) != _seen_as(self._loose[0][0].attempt):
                    self._settle()
                self._loose.append((said, text))
                said.some = True
                if sum(len(waits) for _, waits in self._loose) >= BLOCK or self.feed.follow:
                    self._settle()
                if said.error:
                    raise said.error
        except ContractError as error:
            self._refuse(said, error)
            self._loose = [one for one in self._loose if one[0] is not said]
            raise
        return said.some

    def finish(self) -> dict[Sighting, ContractError]:
        """Parse what waits. Returns why sightings are refused; with one of them the file is torn."""
        self._settle()
        for said in self._read.values():
            try:
                refuse_repeats(said.keys)
            except ContractError as error:
                self._refuse(said, error)
            said.keys = []  # looked at
        return {key: said.error for key, said in self._read.items() if said.error}

    def n_rows(self, attempt: Attempt) -> int:
        """How many records a payload had that was taken in, once it is finished."""
        return self._read[_key(attempt)].n

    def holds(self, attempts: list[Attempt]) -> bool:
        """Whether the file has the rows of these sightings and of no others."""
        return not self.finish() and self._read.keys() == {_key(a) for a in attempts}

    def pages(self) -> list[dict]:
        """The page rows of what was taken in."""
        return [
            _page_row(self.source, self.feed, said.attempt,
                      (said.n, min(said.days, default=None), max(said.days, default=None)))
            for said in self._read.values()
        ]  # fmt: skip

    def _refuse(self, said: _Reading, error: ContractError) -> None:
        self.torn, said.error = True, said.error or error

    def _settle(self) -> None:
        """Parse the records that wait, together. If they are refused, each on its own, to find whose fault it is."""
        loose, self._loose = self._loose, []
        if not loose:
            return
        try:
            records, counts = self.feed.parse.read([text for _, text in loose])
            batch = self.feed.parse.rows(records, parse_instant(loose[0][0].attempt.seen_at))
        except ContractError as error:
            if len(loose) == 1:
                self._refuse(loose[0][0], error)
                return
            for one in loose:
                self._loose = [one]
                self._settle()
            return
        keys, at, places, held = self.feed.parse.keys(batch), 0, [], []
        days = np.frombuffer(batch["event_date"].buffers()[1], np.int32, len(keys)).astype("datetime64[D]")
        for (said, _), n in zip(loose, counts, strict=True):
            said.days += days[at : at + n].min().item(), days[at : at + n].max().item()
            said.keys.append(keys[at : at + n])
            places.append(np.arange(said.n, said.n + n))
            held.append((said.attempt, n))
            said.n += n
            at += n
        if self._held and _seen_as(held[0][0]) != _seen_as(self._held[0][0][0][0]):
            self._flush()
        self._held.append((held, located(batch, np.concatenate(places))))
        if sum(batch.num_rows for _, batch in self._held) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        table = _provenance(self.source, self.feed, self._held)
        if self._file is None:
            exact = [f.name for f in table.schema if f.type == VALUE]
            self._file = RowFile(
                self._folder, table.schema, store_schema=False, compression="lz4",
                use_dictionary=[n for n in table.schema.names if n not in exact and n not in _APART],
                write_statistics=["event_date", "event_at", "first_seen"],
            )  # fmt: skip
        self._file.write(table)
        self._held = []

    def place(self, path: Path) -> None:
        """Close the file and give it its name. `ContractError` if something in it is refused."""
        for error in self.finish().values():
            raise error
        if self._held:
            self._flush()
        if self._file:
            self._file.place(path)
        else:
            _write(path, pa.Table.from_batches([], SCHEMAS[self.feed.shape]))


def _key(attempt: Attempt) -> Sighting:
    return attempt.sha256, attempt.seen_at


def _seen_as(attempt: Attempt) -> tuple[str, str]:
    return attempt.seen_at, attempt.vintage_kind


def _provenance(source: Source, feed: Feed, held: list[tuple[list[tuple[Attempt, int]], pa.RecordBatch]]) -> pa.Table:
    """Columns of payloads that were seen at one instant with their provenance, in the feed's shape."""
    own = pa.Table.from_batches([batch for _, batch in held])
    attempt = held[0][0][0][0]
    same = feed.parse.same | _same(source, feed, attempt)
    same |= {"lineage_root": source.lineage_root, "evidence_kind": source.evidence_kind}
    same["vintage_kind"] = attempt.vintage_kind
    columns = {name: own[name] for name in own.column_names}
    payloads = [payload for some, _ in held for payload in some]
    which = np.repeat(np.arange(len(payloads), dtype=np.int32), [n for _, n in payloads])
    columns["payload_sha256"] = pa.DictionaryArray.from_arrays(
        pa.Array.from_buffers(pa.int32(), len(which), [None, pa.py_buffer(which)]),
        column([a.sha256 for a, _ in payloads], pa.string()),
    )
    if attempt.vintage_kind == "pseudo" or not feed.revises:
        days = own["event_date"].combine_chunks().dictionary_encode()
        known = [single(released_at(feed.release, day), INSTANT) for day in days.dictionary.to_pylist()]
        columns["claimed_known_at"] = pa.concat_arrays(known).take(days.indices)
    for f in SCHEMAS[feed.shape]:
        if f.name not in columns:
            columns[f.name] = constant(same.get(f.name), f.type, own.num_rows)
    return pa.table({name: columns[name] for name in SCHEMAS[feed.shape].names})


def _same(source: Source, feed: Feed, attempt: Attempt) -> dict[str, object]:
    """The columns that are the same in every row of a sighting."""
    seen_at = parse_instant(attempt.seen_at)
    return {
        "source_id": source.source_id, "feed": feed.name, "feed_rank": feed.rank, "first_seen": seen_at,
        "last_seen": seen_at, "n_seen": 1, "payload_sha256": attempt.sha256, "parser_version": feed.parser_version,
    }  # fmt: skip


def merge_sql(shape: str, relation: str, broken: str = "false") -> str:
    """SQL that joins a feed's consecutive equal sightings (or runs) of a cell into runs.

    `broken` is a condition over `w`, a cell's sightings in order: where it holds, a run ends though nothing changed.
    """
    key = ", ".join(CELL_KEYS[shape])
    value = "struct_pack(" + ", ".join(f"{c} := {c}" for c in CELL_VALUES[shape]) + ")"
    order = "first_seen, payload_sha256, locator"
    merged = {"last_seen": "max(last_seen)", "n_seen": "sum(n_seen)::bigint"}
    picked = [
        f"{merged.get(n, f'first({n} order by {order})' if n not in CELL_KEYS[shape] else n)} as {n}"
        for n in SCHEMAS[shape].names
    ]
    return f"""
        with marked as (
            select *, lag({value}) over w is distinct from {value} or row_number() over w = 1
                or coalesce({broken}, false) as is_change
            from {relation} window w as (partition by {key} order by {order})
        ), runs as (
            select *, sum(is_change::int) over (partition by {key} order by {order}) as run from marked
        )
        select {", ".join(picked)} from runs group by {key}, run order by {key}, first_seen, payload_sha256"""


def _spans(feed: Feed, sightings: list[Attempt], clock: datetime) -> dict[str, list[Attempt]]:
    """Sightings by day, days of closed months by month; those of a columnar feed by instant."""
    month = clock.strftime("%Y-%m")
    out: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in sightings:
        length = len("2026-01-31") if attempt.seen_at[:7] >= month else len("2026-01")
        out[_instant(attempt) if isinstance(feed.parse, Columnar) else attempt.seen_at[:length]].append(attempt)
    return out


def _instant(attempt: Attempt) -> str:
    return attempt.seen_at.replace(":", "")


def _input_hash(source: Source, feed: Feed, attempts: list[Attempt]) -> str:
    declared = [FORMAT, feed.parser_version, feed.shape, str(feed.release), str(feed.revises), feed.restates,
                str(feed.rank), source.lineage_root, source.evidence_kind, str(SCHEMAS[feed.shape])]  # fmt: skip
    sighted = [[a.seen_at, a.sha256, a.vintage_kind, a.encoding] for a in attempts]
    return hashlib.sha256(json.dumps([declared, sighted]).encode()).hexdigest()[:16]


def index_of(home: Path, source: Source, feed: Feed, shape: str = "") -> Path:
    """The file that lists a feed's current row files (or page files, shape `page`)."""
    return home / "rows" / (shape or feed.shape) / f"{source.source_id}__{feed.name}" / "index"


def is_whole(home: Path, source: Source, feed: Feed) -> bool:
    """Whether the feed's indexes name what its manifest and declaration make of it, in files closed as Parquet.

    Not so after a crash between acknowledgement and derivation, or when a new parser has come.
    """
    sightings = Store(home).sightings(source.source_id, feed.name)
    for shape in (feed.shape, "page"):
        index = index_of(home, source, feed, shape)
        names = index.read_text("utf-8").split() if index.exists() else []
        if not names or not all(_closed(index.parent / name) for name in names):
            return False
        if sightings and not _is_of(source, feed, sightings, names):
            return False
    return True


def _is_of(source: Source, feed: Feed, sightings: list[Attempt], names: list[str]) -> bool:
    spans = dict(name.removesuffix(".parquet").split("__") for name in names if not name.startswith("0"))
    held = {span: [a for a in sightings if _instant(a).startswith(span)] for span in spans}
    whole = sum(map(len, held.values())) == len(sightings)
    return whole and all(spans[span] == _input_hash(source, feed, held[span]) for span in spans)


def _closed(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size < 12:
        return False
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(-4, 2)
        return start == file.read(4) == b"PAR1"


def derive(
    home: Path, source: Source, feed: Feed, clock: datetime, parsed: Seen | None = None, part: Part | None = None
) -> int:
    """Bring a feed's row files up to date with its manifest. Returns how many files were computed.

    The caller holds the feed's lock, and may hand over what it has just parsed. Bytes are checked against their
    sha256 as they are read.
    """
    store = Store(home)
    spans = _spans(feed, store.sightings(source.source_id, feed.name), clock)
    directories = [index_of(home, source, feed, shape).parent for shape in (feed.shape, "page")]
    names = {"0__empty.parquet"}
    computed = 0
    for directory, shape in zip(directories, (feed.shape, "page"), strict=True):
        disk.make_dir(directory)
        if not _closed(directory / "0__empty.parquet"):
            _write(directory / "0__empty.parquet", pa.Table.from_batches([], SCHEMAS[shape]))
    for span, attempts in sorted(spans.items()):
        name = f"{span}__{_input_hash(source, feed, attempts)}.parquet"
        names.add(name)
        if not all(_closed(d / name) for d in directories):
            if isinstance(feed.parse, Columnar):
                made = part if part and part.holds(attempts) else _part_again(store, source, feed, attempts)
                made.place(directories[0] / name)
                pages = made.pages()
            else:
                pages = _derive_span(store, source, feed, attempts, parsed or {}, directories[0] / name)
            _write(directories[1] / name, _page_table(pages))
            computed += 1
    for directory in directories:
        # the index is swapped first: a build that links by an older one finds a file gone and reads it again
        index = "".join(f"{name}\n" for name in sorted(names)).encode()
        if not (directory / "index").exists() or (directory / "index").read_bytes() != index:
            disk.write_over(directory / "index", index)
        for path in directory.iterdir():
            if path.name not in names | {"index"}:
                path.unlink()
    return computed


def _part_again(store: Store, source: Source, feed: Feed, attempts: list[Attempt]) -> Part:
    """A columnar span from the landed bytes, in the order in which they were acknowledged."""
    part = Part(store.root.parent, source, feed)
    wanted = {a.sighting() for a in attempts}
    for attempt in store.attempts(source.source_id, feed.name):
        if attempt.outcome in ACCEPTED and attempt.sighting() in wanted:
            with store.checked(attempt).open("rb") as wire:
                part.add(attempt, inflating(wire, attempt.encoding, feed.max_bytes))
    return part


def _derive_span(
    store: Store, source: Source, feed: Feed, attempts: list[Attempt], parsed: Seen, path: Path
) -> list[dict]:
    """Write the runs of a span's sightings to `path`; returns their page rows."""

    def said(attempt: Attempt, folder: Path) -> Said:
        return parsed.get(_key(attempt)) or _parsed_again(store, source, feed, attempt, folder)

    incoming = store.incoming(source.source_id, feed.name)
    if len(attempts) == 1 and (only := said(attempts[0], incoming)).once:
        only.place(path)
        return [only.page]
    pages, page_no = [], {seen_at: n for n, seen_at in enumerate(sorted({a.seen_at for a in attempts}))}
    disk.make_dir(incoming)
    with TemporaryDirectory(prefix=".tmp-", dir=incoming) as folder:
        sighting = RowFile(Path(folder), SCHEMAS[feed.shape].append(_PAGE_NO))
        for attempt in attempts:
            one = said(attempt, Path(folder))
            pages.append(one.page)
            no = single(page_no[attempt.seen_at], pa.int64())[0]
            for table in one.tables():
                sighting.write(table.append_column(_PAGE_NO, pa.repeat(no, table.num_rows)))
        sighting.close()
        _merge(feed, sighting.path, path)
    return pages


def _merge(feed: Feed, sighting: Path, path: Path) -> None:
    """The runs of the sightings in one file, written to another. What does not fit in MERGE_MEMORY waits on disk."""
    import duckdb  # takes long to import, and a feed of one page a span has nothing to merge

    # A page without the cell ends its run: what that silence means, the ledger decides by what the page covered.
    broken = "false" if feed.restates == "none" else "page_no > lag(page_no) over w + 1"
    schema = SCHEMAS[feed.shape]
    limits = {"threads": 1, "memory_limit": MERGE_MEMORY, "temp_directory": str(sighting.parent / "spill")}
    with duckdb.connect(config=limits | {"preserve_insertion_order": False}) as con:
        con.execute("set TimeZone = 'UTC'")
        relation = "read_parquet('" + str(sighting).replace("'", "''") + "')"
        made = con.execute(merge_sql(feed.shape, relation, broken))
        file = RowFile(path.parent, schema)
        for batch in made.to_arrow_reader(GROUP):
            file.write(pa.Table.from_batches([batch]).cast(schema))
    file.place(path)


def _parsed_again(store: Store, source: Source, feed: Feed, attempt: Attempt, folder: Path) -> Said:
    """A landed payload read back, checked and digested."""
    body = inflate(store.read(attempt), attempt.encoding, feed.max_bytes)
    seen_at = parse_instant(attempt.seen_at)
    page = feed.parse(Payload(body=body, seen_at=seen_at, sha256=attempt.sha256))
    return digest(source, feed, attempt, page, folder)


def _page_row(source: Source, feed: Feed, attempt: Attempt, said: tuple[int, date | None, date | None]) -> dict:
    n_cells, scope_from, scope_to = said
    return {
        "source_id": source.source_id,
        "feed": feed.name,
        "payload_sha256": attempt.sha256,
        "seen_at": parse_instant(attempt.seen_at),
        "vintage_kind": attempt.vintage_kind,
        "restates": feed.restates,
        "scope_from": scope_from,
        "scope_to": scope_to,
        "n_cells": n_cells,
        "parser_version": feed.parser_version,
    }


def _page_table(rows: list[dict]) -> pa.Table:
    schema = SCHEMAS["page"]
    return pa.Table.from_arrays([column([row[f.name] for row in rows], f.type) for f in schema], schema=schema)


def _write(path: Path, table: pa.Table) -> None:
    """A derived file of one table, whole."""
    file = RowFile(path.parent, table.schema)
    file.write(table)
    file.place(path)
