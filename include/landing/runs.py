"""Rows from landed bytes: `rows/<shape>/<source>__<feed>/<span>__<hash>.parquet`, derived, whole, never edited.

A span is the UTC day on which payloads were seen, or a closed month. Its file is named by the hash of its inputs
(the sightings and the feed's declaration), so it is computed once. It holds runs (cell, value, first_seen, last_seen)
rather than sightings: a page that is polled all year says the same thing almost every time.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from include.core import disk
from include.core.calendars import released_at
from include.core.clock import parse_instant
from include.core.errors import CapmigError
from include.core.parse import inflate
from include.core.shapes import CELL_KEYS, CELL_VALUES, INSTANT, ROW_TYPES, SCHEMAS, Parsed, Row
from include.core.source import Feed, Payload, Source
from include.landing.store import Attempt, Store

Seen = dict[tuple[str, str], tuple[pa.Table, dict]]  # (sha256, seen_at): a payload's rows and its page row
FORMAT = "2"  # of the derived files; raising it re-derives everything from raw


def parse_payload(feed: Feed, wire: bytes, encoding: str, seen_at: datetime, sha256: str = "") -> Parsed:
    """Inflate and parse one landed payload; `ContractError` when it breaks the feed's contract."""
    return feed.parse(Payload(body=inflate(wire, encoding, feed.max_bytes), seen_at=seen_at, sha256=sha256))


def to_table(source: Source, feed: Feed, attempt: Attempt, rows: list[Row]) -> pa.Table:
    """One payload's rows with their provenance, as an Arrow table of the feed's shape."""
    schema, n = SCHEMAS[feed.shape], len(rows)
    seen_at = parse_instant(attempt.seen_at)
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
    same = {
        "source_id": source.source_id, "feed": feed.name, "feed_rank": feed.rank, "first_seen": seen_at,
        "last_seen": seen_at, "n_seen": 1, "payload_sha256": attempt.sha256, "parser_version": feed.parser_version,
    }  # fmt: skip
    arrays = [
        pa.repeat(pa.scalar(same[f.name], f.type), n) if f.name in same else pa.array(columns[f.name], f.type)
        for f in schema
    ]
    return pa.table(arrays, schema=schema)


def digest(source: Source, feed: Feed, attempt: Attempt, page: Parsed) -> tuple[pa.Table, dict]:
    """What one payload says, compactly: its rows as Arrow, and its page row."""
    return to_table(source, feed, attempt, page.rows), _page_row(source, feed, attempt, page)


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


def _spans(sightings: list[Attempt], clock: datetime) -> dict[str, list[Attempt]]:
    """Sightings by day, days of closed months by month."""
    month = clock.strftime("%Y-%m")
    out: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in sightings:
        out[attempt.seen_at[:10] if attempt.seen_at[:7] >= month else attempt.seen_at[:7]].append(attempt)
    return out


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
    held = {span: [a for a in sightings if a.seen_at.startswith(span)] for span in spans}
    whole = sum(map(len, held.values())) == len(sightings)
    return whole and all(spans[span] == _input_hash(source, feed, held[span]) for span in spans)


def _closed(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size < 12:
        return False
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(-4, 2)
        return start == file.read(4) == b"PAR1"


def derive(home: Path, source: Source, feed: Feed, clock: datetime, parsed: Seen | None = None) -> int:
    """Bring a feed's row files up to date with its manifest. Returns how many files were computed.

    The caller holds the feed's lock, and may hand over what it has just parsed. Bytes are checked against their
    sha256 as they are read.
    """
    store = Store(home)
    spans = _spans(store.sightings(source.source_id, feed.name), clock)
    directories = [index_of(home, source, feed, shape).parent for shape in (feed.shape, "page")]
    names = {"0__empty.parquet"}
    computed = 0
    for directory, shape in zip(directories, (feed.shape, "page"), strict=True):
        disk.make_dir(directory)
        if not _closed(directory / "0__empty.parquet"):
            _write(directory / "0__empty.parquet", SCHEMAS[shape].empty_table())
    for span, attempts in sorted(spans.items()):
        name = f"{span}__{_input_hash(source, feed, attempts)}.parquet"
        names.add(name)
        if not all(_closed(d / name) for d in directories):
            rows, pages = _derive_span(store, source, feed, attempts, parsed or {})
            _write(directories[0] / name, rows)
            _write(directories[1] / name, pages)
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


def _derive_span(
    store: Store, source: Source, feed: Feed, attempts: list[Attempt], parsed: Seen
) -> tuple[pa.Table, pa.Table]:
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
    return rows, pa.Table.from_pylist(pages, schema=SCHEMAS["page"])


def _parsed_again(store: Store, source: Source, feed: Feed, attempt: Attempt) -> tuple[pa.Table, dict]:
    """A landed payload read back, checked and digested."""
    wire = store.read(attempt)
    page = parse_payload(feed, wire, attempt.encoding, parse_instant(attempt.seen_at), attempt.sha256)
    return digest(source, feed, attempt, page)


def _page_order(attempts: list[Attempt]) -> pa.Table:
    """Instants at which pages of a feed were seen, numbered; the pages of one fetch share one."""
    instants = sorted({parse_instant(a.seen_at) for a in attempts})
    return pa.table({"first_seen": pa.array(instants, INSTANT), "page_no": pa.array(range(len(instants)), pa.int64())})


def _page_row(source: Source, feed: Feed, attempt: Attempt, page: Parsed) -> dict:
    return {
        "source_id": source.source_id,
        "feed": feed.name,
        "payload_sha256": attempt.sha256,
        "seen_at": parse_instant(attempt.seen_at),
        "vintage_kind": attempt.vintage_kind,
        "restates": feed.restates,
        "scope_from": page.scope_from,
        "scope_to": page.scope_to,
        "n_cells": len(page.rows),
        "parser_version": feed.parser_version,
    }


def _write(path: Path, table: pa.Table) -> None:
    """Derived files are replaceable, so they are written whole but need no fsync of their own content order."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    body = sink.getvalue().to_pybytes()
    if not disk.write_new(path, body) and not _closed(path):  # what stands there was cut
        disk.write_over(path, body, mode=0o444)
