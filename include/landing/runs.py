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
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.core import disk
from include.core.calendars import released_at
from include.core.clock import parse_instant
from include.core.columnar import Columnar, constant, single
from include.core.errors import CapmigError, ContractError
from include.core.parse import inflate, inflating
from include.core.shapes import CELL_KEYS, CELL_VALUES, INSTANT, ROW_TYPES, SCHEMAS, VALUE, Parsed, Row
from include.core.source import Feed, Payload, Source
from include.landing.store import ACCEPTED, Attempt, Store

Sighting = tuple[str, str]  # (sha256, seen_at)
Seen = dict[Sighting, tuple[pa.Table, dict]]  # a payload's rows and its page row
FORMAT = "2"  # of the derived files; raising it re-derives everything from raw
GROUP = 2**16  # rows of a columnar feed that are held before they are written
_APART = {"locator", "value_raw", "record_id", "account"}  # too many texts to be worth a dictionary


def to_table(source: Source, feed: Feed, attempt: Attempt, rows: list[Row]) -> pa.Table:
    """One payload's rows with their provenance, as an Arrow table of the feed's shape."""
    schema, n = SCHEMAS[feed.shape], len(rows)
    own = {f.name for f in fields(ROW_TYPES[feed.shape])}
    columns = {name: [getattr(row, name) for row in rows] for name in schema.names if name in own}
    columns["lineage_root"] = [root or source.lineage_root for root in columns["lineage_root"]]
    columns["evidence_kind"] = [kind or source.evidence_kind for kind in columns["evidence_kind"]]
    if attempt.vintage_kind == "pseudo" or not feed.revises:
        columns["claimed_known_at"] = [
            released_at(feed.release, row.event_date)
            if row.claimed_known_at is None and row.published_at is None
            else row.claimed_known_at
            for row in rows
        ]
    columns["vintage_kind"] = ["publisher" if at else attempt.vintage_kind for at in columns["published_at"]]
    same = _same(source, feed, attempt)
    arrays = [
        pa.repeat(pa.scalar(same[f.name], f.type), n) if f.name in same else pa.array(columns[f.name], f.type)
        for f in schema
    ]
    return pa.table(arrays, schema=schema)


def digest(source: Source, feed: Feed, attempt: Attempt, page: Parsed) -> tuple[pa.Table, dict]:
    """What one payload says, compactly: its rows as Arrow, and its page row."""
    said = (len(page.rows), page.scope_from, page.scope_to)
    return to_table(source, feed, attempt, page.rows), _page_row(source, feed, attempt, said)


class Part:
    """A row file of a columnar feed while its payloads come in: GROUP rows in memory, what is before them on disk."""

    def __init__(self, home: Path, source: Source, feed: Feed):
        self.source, self.feed = source, feed
        self.pages: dict[Sighting, dict] = {}
        self.torn = False
        self._folder = index_of(home, source, feed).parent
        self._writer: pq.ParquetWriter | None = None
        self._held: list[tuple[Attempt, pa.RecordBatch]] = []

    def add(self, attempt: Attempt, path: Path) -> dict:
        """Read one payload into the file; returns its page row. After a `ContractError` the part is torn."""
        key, seen_at = (attempt.sha256, attempt.seen_at), parse_instant(attempt.seen_at)
        if key in self.pages:
            return self.pages[key]
        n, days = 0, []
        try:
            with path.open("rb") as wire:
                pieces = inflating(wire, attempt.encoding, self.feed.max_bytes)
                for batch in self.feed.parse.batches(pieces, seen_at):
                    n += batch.num_rows
                    days += pc.min_max(batch["event_date"]).as_py().values()
                    self._hold(attempt, batch)
        except ContractError:
            self.torn = True
            raise
        scope = (n, min(days, default=None), max(days, default=None))
        self.pages[key] = _page_row(self.source, self.feed, attempt, scope)
        return self.pages[key]

    def holds(self, attempts: list[Attempt]) -> bool:
        """Whether the file has the rows of these sightings and of no others."""
        return not self.torn and self.pages.keys() == {(a.sha256, a.seen_at) for a in attempts}

    def _hold(self, attempt: Attempt, batch: pa.RecordBatch) -> None:
        if self._held and _seen_as(attempt) != _seen_as(self._held[0][0]):
            self._flush()
        self._held.append((attempt, batch))
        if sum(b.num_rows for _, b in self._held) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        table = _provenance(self.source, self.feed, self._held)
        if self._writer is None:
            disk.make_dir(self._folder)
            fd, name = tempfile.mkstemp(prefix=".tmp-", dir=self._folder)
            os.close(fd)
            self.path = Path(name)
            exact = [f.name for f in table.schema if f.type == VALUE]
            self._writer = pq.ParquetWriter(
                name, table.schema, compression="zstd", store_schema=False,
                use_dictionary=[n for n in table.schema.names if n not in exact and n not in _APART],
                write_statistics=["event_date", "event_at", "first_seen"],
            )  # fmt: skip
        self._writer.write_table(table)
        self._held = []

    def place(self, path: Path) -> None:
        """Close the file and give it its name."""
        if self._held:
            self._flush()
        if not self._writer:
            _write(path, pa.Table.from_batches([], SCHEMAS[self.feed.shape]))
            return
        self._writer.close()
        self.path.chmod(0o444)
        self.path.replace(path)


def _seen_as(attempt: Attempt) -> tuple[str, str]:
    return attempt.seen_at, attempt.vintage_kind


def _provenance(source: Source, feed: Feed, held: list[tuple[Attempt, pa.RecordBatch]]) -> pa.Table:
    """Columns of payloads that were seen at one instant with their provenance, in the feed's shape."""
    own = pa.Table.from_batches([batch for _, batch in held]).unify_dictionaries().combine_chunks()
    attempt = held[0][0]
    same = _same(source, feed, attempt)
    same |= {"lineage_root": source.lineage_root, "evidence_kind": source.evidence_kind}
    same["vintage_kind"] = attempt.vintage_kind
    columns = {name: own[name] for name in own.column_names}
    columns["payload_sha256"] = pa.chunked_array(
        [constant(a.sha256, pa.string(), batch.num_rows) for a, batch in held]
    ).combine_chunks()
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
                pages = made.pages.values()
            else:
                rows, pages = _derive_span(store, source, feed, attempts, parsed or {})
                _write(directories[0] / name, rows)
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
            part.add(attempt, store.checked(attempt))
    return part


def _derive_span(
    store: Store, source: Source, feed: Feed, attempts: list[Attempt], parsed: Seen
) -> tuple[pa.Table, list[dict]]:
    pages: list[dict] = []
    stopped: list[CapmigError] = []

    def tables() -> Iterator[pa.RecordBatch]:
        for attempt in attempts:
            said = parsed.get((attempt.sha256, attempt.seen_at))
            if said is None:
                try:
                    said = _parsed_again(store, source, feed, attempt)
                except CapmigError as error:
                    stopped.append(error)
                    raise
            pages.append(said[1])
            yield from said[0].to_batches()

    con = duckdb.connect()
    try:
        con.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        con.execute("set threads = 1")
        reader = pa.RecordBatchReader.from_batches(SCHEMAS[feed.shape], tables())
        con.register("incoming", reader)
        con.register("page", _page_order(attempts))
        con.execute("create temp table sighting as select * from incoming left join page using (first_seen)")
        # A page without the cell ends its run: what that silence means, the ledger decides by what the page covered.
        broken = "false" if feed.restates == "none" else "page_no > lag(page_no) over w + 1"
        rows = con.execute(merge_sql(feed.shape, "sighting", broken)).to_arrow_table().cast(SCHEMAS[feed.shape])
    except duckdb.Error:
        if stopped:  # what DuckDB makes of an error in the rows that it is fed is a trace, not a reason
            raise stopped[0] from None
        raise
    finally:
        con.close()
    return rows, pages


def _parsed_again(store: Store, source: Source, feed: Feed, attempt: Attempt) -> tuple[pa.Table, dict]:
    """A landed payload read back, checked and digested."""
    body = inflate(store.read(attempt), attempt.encoding, feed.max_bytes)
    seen_at = parse_instant(attempt.seen_at)
    return digest(source, feed, attempt, feed.parse(Payload(body=body, seen_at=seen_at, sha256=attempt.sha256)))


def _page_order(attempts: list[Attempt]) -> pa.Table:
    """Instants at which pages of a feed were seen, numbered; the pages of one fetch share one."""
    instants = sorted({parse_instant(a.seen_at) for a in attempts})
    return pa.table({"first_seen": pa.array(instants, INSTANT), "page_no": pa.array(range(len(instants)), pa.int64())})


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


def _page_table(rows: Iterable[dict]) -> pa.Table:
    schema = SCHEMAS["page"]
    batches = [pa.record_batch([single(row[f.name], f.type) for f in schema], schema=schema) for row in rows]
    return pa.Table.from_batches(batches, schema).combine_chunks()


def _write(path: Path, table: pa.Table) -> None:
    """Derived files are replaceable, so they are written whole but need no fsync of their own content order."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    body = sink.getvalue().to_pybytes()
    if not disk.write_new(path, body) and not _closed(path):  # what stands there was cut
        disk.write_over(path, body, mode=0o444)
