"""A feed that is read as columns: the same rows as by objects, the same refusals, whatever the size of the pieces."""

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from include import pipeline
from include.core import parse
from include.core.columnar import Columnar, Wire, column
from include.core.errors import ContractError
from include.core.page import page
from include.core.parse import above_zero, member, not_after, number, read_json
from include.core.shapes import INSTANT, SCHEMAS, VALUE, Parsed, Position
from include.core.source import Feed, Payload, Release, Request, Source
from include.landing import runs
from include.landing.store import Store, attempt_of
from include.settings import Settings
from include.sources import registry
from tests.bench.workloads import payload
from tests.faults import wire as servers

SEEN = datetime(2026, 1, 31, 12, tzinfo=UTC)
READ = Columnar(
    shape="position", at=("data", "rows"),
    columns={
        "venue": "TOY", "record_kind": "position", "record_id": "", "account": Wire("user", pattern="0x[0-9a-f]+"),
        "instrument": Wire("coin"), "event_at": Wire("time", "millis"), "value_raw": Wire("szi"),
        "qty": Wire("szi", "decimal"), "mark_price": Wire("markPx", "decimal", positive=True),
        "liq_price": Wire("liquidationPx", "decimal", optional=True), "leverage_setting": Wire("leverage", "number"),
    },
)  # fmt: skip
FEED = Feed(name="all", kind="SNAPSHOT", clock="derivatives", shape="position", media="json", parse=READ,
            restates="none", release=Release("UTC247", 1, "00:05"), max_bytes=2**24)  # fmt: skip
SOURCE = Source(source_id="toy", title="Toy", base_url="https://example.org", lineage_root="toy", rank=1,
                evidence_kind="measurement", licence="none", credit="toy", verified="recorded", feeds=(FEED,))  # fmt: skip
RECORDS = json.loads(payload("pages", 3))


def by_objects(given: Payload) -> Parsed:
    """The same contract as `READ`, written as an ordinary parser."""
    rows = []
    for n, item in enumerate(member(member(read_json(given.body), "data", dict), "rows", list)):
        at = datetime.fromtimestamp(member(item, "time", int) / 1000, UTC)
        liq, size = member(item, "liquidationPx", object), member(item, "szi", str)
        rows.append(
            Position(venue="TOY", record_kind="position", record_id="", account=member(item, "user", str),
                     instrument=member(item, "coin", str), event_at=at, locator=str(n), value_raw=size,
                     event_date=not_after(at.date(), given.seen_at.date(), "a record of"), qty=number(size),
                     mark_price=above_zero(member(item, "markPx", str), "a price"),
                     liq_price=None if liq is None else number(liq),
                     leverage_setting=number(member(item, "leverage", int | Decimal)))
        )  # fmt: skip
    return page("position", rows, [row.event_date for row in rows])


def body(records: list[dict], **form: object) -> bytes:
    """The records in their envelope."""
    return json.dumps({"data": {"rows": records, "next": None}, "ok": True}, **form).encode()


def attempt(sha256: str, encoding: str = "", seen_at: datetime = SEEN) -> dict:
    """A manifest line of a payload of the feed."""
    return attempt_of("toy", "all", "r", seen_at, seen_at, outcome="LANDED", vintage_kind="first_seen", origin="t",
                      sha256=sha256, encoding=encoding)  # fmt: skip


def land(home: Path, wires: list[bytes], part: bool) -> list[tuple]:
    """Rows of the payloads as landing leaves them: as they come in, or derived from what landed."""
    store = Store(home)
    made, batch = runs.Part(home, SOURCE, FEED), []
    with store.lock("toy", "all"):
        for wire in wires:
            with store.spool("toy", "all") as spool:
                spool.write(wire)
                path = store.put("toy", "all", spool)
            batch.append(attempt(path.name, "gzip"))
            if part:
                made.add(batch[-1], parse.inflating(io.BytesIO(wire), "gzip", FEED.max_bytes))
        store.append(batch)
        assert runs.derive(home, SOURCE, FEED, SEEN, part=made if part else None) == 1
        assert runs.derive(home, SOURCE, FEED, SEEN) == 0
    assert runs.is_whole(home, SOURCE, FEED)
    folder = runs.index_of(home, SOURCE, FEED).parent
    names = [str(folder / name) for name in (folder / "index").read_text().split()]
    assert {p.name for p in folder.iterdir()} == {Path(n).name for n in names} | {"index"}
    columns = ", ".join(SCHEMAS["position"].names)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(f"select {columns} from read_parquet({names!r})").fetchall()


CELLS = {
    pa.string(): ["a", "é€", "", "x" * 40],
    VALUE: [Decimal("1.5"), Decimal("-1e-18"), Decimal("99999999999999999999.999999999999999999"), Decimal(0)],
    INSTANT: [SEEN, datetime(1950, 1, 1, 1, 2, 3, 456, timezone(timedelta(hours=9)))],
    pa.date32(): [date(1900, 1, 1), date(2026, 1, 31)], pa.int64(): [1, -(2**62)], pa.int32(): [5, -6],
}  # fmt: skip


@pytest.mark.parametrize("kind", CELLS, ids=str)
def test_a_column_made_of_bytes_is_what_arrow_makes(kind: pa.DataType) -> None:
    """Every kind of a shape, with and without gaps, of none, one and many cells."""
    for cells in (CELLS[kind] * 9, [None, *CELLS[kind], None] * 3, [None] * 9, CELLS[kind][:1], []):
        made = column(cells, kind)
        made.validate(full=True)
        assert made.equals(pa.array(cells, kind))
        assert made.null_count == cells.count(None)


@pytest.mark.parametrize("cell", ["1e-19", "1e20", "NaN", "Infinity"])
def test_a_number_that_does_not_fit_is_no_cell(cell: str) -> None:
    """More than 18 decimals, more than 20 digits before them, or no number at all."""
    with pytest.raises((ValueError, OverflowError)):
        column([Decimal(cell)], VALUE)
    with pytest.raises(TypeError):
        column([0.5], VALUE)


@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}])
def test_both_ways_give_the_same_rows(form: dict) -> None:
    """However the source's serialiser parts its records, and with a text outside of ASCII."""
    given = Payload(body=body([RECORDS[0] | {"coin": "€"}, *RECORDS[1:40]], **form), seen_at=SEEN)
    assert READ(given) == by_objects(given)
    assert len(READ(given).rows) == 40


def test_a_payload_in_pieces_and_blocks_gives_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut anywhere: within a record, a text, the envelope or a separator."""
    monkeypatch.setattr("include.core.columnar.BLOCK", 2000)
    whole = body(RECORDS[:60], indent=1)
    expected = by_objects(Payload(body=whole, seen_at=SEEN)).rows
    for size in (1, 7, 997, 5000):
        pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
        batches = list(READ.batches(pieces, SEEN))
        assert [Position(**READ.same | row) for batch in batches for row in batch.to_pylist()] == expected
        assert len(batches) > 3


@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 2}])
def test_members_that_nobody_declared_may_be_lists_of_pairs(form: dict) -> None:
    """`[["day", {...}], ["week", {...}]]`: an object never follows another within the record, so it is read past."""
    windows = [[name, {"pnl": "1.5", "vlm": "2"}] for name in ("day", "week", "allTime")]
    records = [record | {"windowPerformances": windows, "displayName": None} for record in RECORDS[:40]]
    given = Payload(body=body(records, **form), seen_at=SEEN)
    assert READ(given) == by_objects(given)
    assert len(READ(given).rows) == 40


@pytest.mark.parametrize("records", [[], RECORDS[:1]])
def test_few_records(records: list[dict]) -> None:
    """None at all is a page without rows; one has nothing that parts it from another."""
    given = Payload(body=body(records), seen_at=SEEN)
    assert READ(given) == by_objects(given)


def test_numbers_are_kept_to_the_last_digit() -> None:
    """In quotes or not: never through a float."""
    for token in ("12345678901234567.89", "-0.000000000000000001", "99999999999999999999.1", "1e-7"):
        text = body([RECORDS[0] | {"szi": "@", "leverage": "#"}]).replace(b'"@"', f'"{token}"'.encode())
        (row,) = READ(Payload(body=text.replace(b'"#"', token.encode()), seen_at=SEEN)).rows
        assert row.qty == row.leverage_setting == Decimal(token)
        assert row.value_raw == token


def changed(**cells: object) -> bytes:
    """A payload whose second record has other cells; one that is `...` is left out."""
    second = {k: v for k, v in (RECORDS[1] | cells).items() if v is not ...}
    return body([RECORDS[0], second, RECORDS[2]])


GOOD = changed()
BAD: dict[str, tuple[bytes, str]] = {
    "a word": (changed(szi="abc"), "G1.type"),
    "NaN in quotes": (changed(szi="NaN"), "G1.type"),
    "NaN": (changed(leverage=float("nan")), ""),
    "infinity": (changed(szi="1e999"), "G1.range"),
    "blank": (changed(szi=""), "G1.type"),
    "grouped": (changed(markPx="1,234.5"), "G1.type"),
    "full width": (changed(markPx="１２"), "G1.type"),
    "19 decimals": (changed(szi="0.1234567890123456789"), "G1.range"),
    "too big": (changed(szi="123456789012345678901"), "G1.range"),
    "as big as 2^128 holds again": (changed(szi="350000000000000000000"), "G1.range"),
    "the same with an exponent": (changed(szi="3.5e20"), "G1.range"),
    "the same without quotes": (changed(leverage=35 * 10**19), "G1.range"),
    "a number for a text": (changed(szi=1.5), ""),
    "a text for a number": (changed(time="x"), ""),
    "true": (changed(markPx=True), ""),
    "a list": (changed(coin=[]), ""),
    "an object": (changed(coin={"x": 1}), ""),
    "null": (changed(szi=None), ""),
    "a member left out": (changed(user=...), ""),
    "a price of zero": (changed(markPx="0"), "G1.sign"),
    "tomorrow": (changed(time=1770000000000), "G1.future"),
    "a member twice": (GOOD.replace(b'"coin": "ETH"', b'"coin": "ETH", "coin": "BTC"'), "G1.duplicate_key"),
    "a cell twice": (body([RECORDS[0], RECORDS[0] | {"szi": "0.5"}]), "G1.conflict"),
    "a renamed optional member": (GOOD.replace(b"liquidationPx", b"liqPx"), ""),
    "no comma": (GOOD.replace(b"}, {", b"} {", 1), "G1.syntax"),
    "a null among the records": (GOOD.replace(b"}, {", b"}, null, {", 1), ""),
    "null without a comma": (GOOD.replace(b"}, {", b"} null {", 1), "G1.syntax"),
    "an empty record": (GOOD.replace(b"}, {", b"}, {}, {", 1), ""),
    "a trailing comma": (GOOD.replace(b"}]", b"},]"), "G1.syntax"),
    "a comment": (GOOD.replace(b"}]", b"}/**/]"), "G1.syntax"),
    "a list of numbers": (body([1, 2]), ""),
    "an error": (b'{"status": {"error_code": 429}}', "G1.columns"),
    "the list elsewhere": (json.dumps({"rows": RECORDS[:2]}).encode(), "G1.columns"),
    "two lists": (json.dumps({"other": [{"a": 1}], "data": {"rows": RECORDS[:2]}}).encode(), None),
    "a list behind it": (GOOD.replace(b"}, {", b'}], "more": [{', 1), None),
    "an end within": (GOOD.replace(b"}, {", b'}]}\n{"records": [{', 1), "G1.syntax"),
    "damage behind the list": (GOOD[:-1] + b",}", "G1.syntax"),
    "more behind the end": (GOOD + b"{}", "G1.syntax"),
    "no UTF-8": (GOOD.replace(b'"ETH"', b'"\xff"'), "G1.encoding"),
    "NUL": (GOOD.replace(b'"ETH"', b'"\x00"'), ""),
    "UTF-16": (GOOD.decode().encode("utf-16"), "G1.encoding"),
    "a line break in a text": (GOOD.replace(b'"ETH"', b'"E\nTH"'), "G1.syntax"),
    "deep in a record": (changed(x=0).replace(b'"x": 0', b'"x": ' + b"[" * 100_000 + b"]" * 100_000), ""),
    "deep": (GOOD.replace(b'"ok": true', b'"ok": ' + b"[" * 100_000 + b"]" * 100_000), ""),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "rule"), BAD.values(), ids=BAD)
def test_bad_bytes_are_refused_both_ways(bad: bytes, rule: str | None) -> None:
    """By the same rule where one is named. Only what the ordinary parser refuses too stands in this list, but for
    the two of more lists than one, which is the columnar contract's own."""
    given = Payload(body=bad, seen_at=SEEN)
    with pytest.raises(ContractError) as caught:
        READ(given)
    assert caught.value.rule.startswith("G1.") and "\n" not in str(caught.value)
    if rule is None:
        return
    with pytest.raises(ContractError) as ordinary:
        by_objects(given)
    assert not rule or caught.value.rule == ordinary.value.rule == rule


def test_a_body_cut_short_is_refused() -> None:
    """Row 9, at every byte."""
    for end in range(len(GOOD)):
        with pytest.raises(ContractError):
            READ(Payload(body=GOOD[:end], seen_at=SEEN))


@pytest.mark.parametrize("spoil", [lambda w: w[: len(w) // 2], lambda w: w[:-6] + bytes([w[-6] ^ 1]) + w[-5:]])
def test_a_cut_or_damaged_gzip_is_refused(spoil: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Row 9: found at its end at the latest, when the rows before it are on their way already."""
    wire = io.BytesIO(spoil(gzip.compress(body(RECORDS))))
    part = runs.Part(tmp_path, SOURCE, FEED)
    with pytest.raises(ContractError) as caught:
        part.add(attempt("a", "gzip"), parse.inflating(wire, "gzip", FEED.max_bytes))
    assert caught.value.rule in ("G1.truncated", "G1.corrupt")
    assert part.torn


def test_rows_are_the_same_as_they_come_in_and_from_what_landed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pages of one instant, one of them twice, in one file; provenance as the ordinary way writes it."""
    monkeypatch.setattr(runs, "GROUP", 50)
    wires = [gzip.compress(body(RECORDS[n : n + 40]), mtime=0) for n in (80, 0, 40, 0)]
    first, again = land(tmp_path / "a", wires, part=True), land(tmp_path / "b", wires, part=False)
    assert first == again
    assert len(first) == 120
    expected = [
        tuple(row.values())
        for wire in wires[:3]
        for row in runs.to_table(SOURCE, FEED, attempt(_sha(wire), "gzip"),
                                 by_objects(Payload(body=gzip.decompress(wire), seen_at=SEEN)).rows).to_pylist()
    ]  # fmt: skip
    assert [tuple(map(str, row)) for row in first] == [tuple(map(str, row)) for row in expected]


def test_pages_that_wait_together_are_refused_one_by_one(tmp_path: Path) -> None:
    """Of pages that are parsed at once only the bad ones are refused, whatever it is; the rows of the others are whole.
    The next page is not asked for once a bad one is known."""
    damage = ["no comma", "a price of zero", "a cell twice", "a line break in a text", "a renamed optional member"]
    bodies = [body(RECORDS[:40]), *(BAD[name][0] for name in damage), body(RECORDS[40:80]), GOOD[: GOOD.rindex(b'"')]]
    wires = [gzip.compress(one, mtime=0) for one in bodies]
    with servers.Wire(servers.in_turn([servers.answer(wire, Content_Encoding="gzip") for wire in wires])) as wire:
        feed = replace(FEED, requests=lambda _: [Request(f"/{n}") for n in range(len(bodies))])
        settings = Settings(warehouse_home=tmp_path, clock=SEEN, base_urls={"toy": wire.url})
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(registry(), "toy", replace(SOURCE, feeds=(feed,)))
            landed = pipeline.land(settings, "toy", "all", run_id="r")
    assert [(a.outcome, a.rule) for a in landed] == [
        ("LANDED", ""),
        *(("REJECTED", BAD[name][1] or "G1.columns") for name in damage[:4]),
        ("REJECTED", "G1.columns"),
    ]
    assert [a.n_rows for a in landed] == [40, 0, 0, 0, 0, 0]
    assert runs.is_whole(tmp_path, SOURCE, FEED)
    folder = runs.index_of(tmp_path, SOURCE, FEED).parent
    names = [str(folder / name) for name in (folder / "index").read_text().split()]
    assert duckdb.sql(f"select count(*), count(distinct account || instrument) from read_parquet({names!r})").fetchall(
    ) == [(40, 40)]  # fmt: skip


def _sha(wire: bytes) -> str:
    return hashlib.sha256(wire).hexdigest()
