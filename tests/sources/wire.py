"""Recorded cases as tables of cells, so that a payload can be changed in one place and written again in wire shape.

`cases/<source>/<feed>__<case>.<ext>` is a payload. Beside it stands what must come of it: `.expected.csv` (the rows)
or `.refused` (the rule). `cases/<source>/wire.toml` says where a feed's header, records, days and values are.
"""

import csv
import html
import io
import json
import re
import tomllib
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from include.core.source import Feed, Payload

CASES = Path(__file__).with_name("cases")
SEEN = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)
_ROW = re.compile(r"<tr>.*?</tr>")
_CELL = re.compile(r"<(t[hd])>(.*?)</\1>")
_SHEET_ROW = re.compile(r"<ss:Row>.*?</ss:Row>", re.DOTALL)
_PROPERTY = re.compile(r'<d:(\w+)(?: m:type="[^"]*")?(?:( m:null="true")/>|>([^<]*)</d:\1>)')
_TOKEN = re.compile(r'"@(.*?)@"')


@dataclass(frozen=True, slots=True)
class Token:
    """A JSON number to the letter: no float comes between a test and the wire."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One feed's wire shape, from `wire.toml`."""

    prose: bool = False  # sentences, not a table of cells
    also: list[str] = field(default_factory=list)  # other kinds of file that the feed reads
    codec: str = "utf-8"
    eol: str = "\n"
    header: int = 0  # the header's line
    records: list | None = None  # path to the list of records in JSON
    paired: list | None = None  # path to a list that belongs to it by index
    columnar: bool = False  # the path leads to an object of parallel arrays, one a column
    fields: list[str] = field(default_factory=list)  # names of the cells where a record is a list
    strict: bool = False  # such a list has no room for a further cell
    keyed: str = ""  # the cell that names a record where the records are an object's members
    day: str = ""
    day_format: str = ""
    value: str = ""
    may_be_empty: bool = False  # the table's rows are not all that the payload says
    conflict: dict = field(default_factory=dict)  # a cell that makes a repeated row another, where there is no value
    positive: bool = False  # of an event: its number may not be negative
    text: bool = False  # a JSON feed that writes numbers as text
    bare_day: bool = False  # a JSON feed that writes days as numbers
    entries: bool = False  # an Atom feed, whose entries hold properties
    made_of: bool = False  # the value's cell is one of several that make a figure
    scale: Decimal = Decimal(1)
    required: list[str] = field(default_factory=list)
    bad_days: list[str] = field(default_factory=list)

    def write_day(self, day: date) -> str | Token:
        """`day` as the source writes it."""
        ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
        text = self.day_format.format(d=day, r=day.year - 2018, ms=ms, s=ms // 1000)
        return Token(text) if self.bare_day or self.day_format == "{ms}" else text

    def write_value(self, token: str) -> str | Token:
        """A number as the source writes it."""
        return token if self.text or self.records is None else Token(token)


@dataclass(slots=True)
class Table:
    """A payload in cells. `around` is what stands outside of them, in the medium's own form."""

    wire: Wire
    media: str
    columns: list[str]
    rows: list[dict[str, Any]]
    around: Any

    def copy(self, **changes: Any) -> "Table":
        """The same table with other columns or rows."""
        return replace(self, **{"rows": [dict(r) for r in self.rows], "columns": list(self.columns)} | changes)

    def first(self) -> int:
        """The first row that holds a reading in the value's column, or the first one."""
        good = (n for n, r in enumerate(self.rows) if re.fullmatch(r"-?[\d.]+", str(r.get(self.wire.value) or "")))
        return next((n for n in good if self.is_data(n)), 0)

    def is_data(self, row: int) -> bool:
        """Whether a row of a page is a session rather than a fee or a footer."""
        return self.media != "html" or self.wire.records is not None or bool(re.match(r"\d", self.rows[row]["Date"]))

    def with_cell(self, column: str, cell: Any) -> "Table":
        """The table with one cell of its first row of readings changed."""
        changed = self.copy()
        changed.rows[self.first()][column] = cell
        return changed

    def dump(self) -> bytes:
        """The table in wire shape."""
        if self.media == "html" and self.wire.records is not None:
            return _dump_embedded(self)
        if self.media == "xml" and self.wire.entries:
            return _dump_entries(self)
        return {"csv": _dump_csv, "json": _dump_json, "html": _dump_html, "xml": _dump_sheet}[self.media](self)


@cache
def wires(source_id: str) -> dict[str, Wire]:
    """The wire shape of each feed of a source."""
    text = (CASES / source_id / "wire.toml").read_text(encoding="utf-8")
    stated = tomllib.loads(text, parse_float=Decimal)
    return {feed: Wire(**keys | {"scale": Decimal(keys.get("scale", 1))}) for feed, keys in stated.items()}


def cases(source_id: str, feed: Feed, suffix: str = "") -> list[Path]:
    """A feed's recorded payloads; with `suffix`, those of which that is stated."""
    kinds = (feed.media, *wires(source_id)[feed.name].also)
    found = sorted(path for kind in kinds for path in (CASES / source_id).glob(f"{feed.name}__*.{kind}"))
    payloads = [p for p in found if not p.name.endswith(".expected.csv")]
    return [p for p in payloads if not suffix or p.with_suffix(suffix).exists()]


def payload(body: bytes, seen_at: datetime = SEEN) -> Payload:
    """Bytes as a parser gets them."""
    return Payload(body=body, seen_at=seen_at)


def ordinary_body(source_id: str, feed: Feed) -> bytes:
    """The bytes of the feed's ordinary case: as recorded where it is prose, else as its table is written."""
    if wires(source_id)[feed.name].prose:
        return _ordinary(source_id, feed)
    return ordinary(source_id, feed).dump()


def _ordinary(source_id: str, feed: Feed) -> bytes:
    return (CASES / source_id / f"{feed.name}__ordinary.{feed.media}").read_bytes()


def ordinary(source_id: str, feed: Feed) -> Table:
    """The feed's ordinary case as a table."""
    body, wire = _ordinary(source_id, feed), wires(source_id)[feed.name]
    if wire.entries:
        return _load_entries(wire, body)
    load = {"csv": _load_csv, "json": _load_json, "html": _load_html, "xml": _load_sheet}[feed.media]
    return (_load_embedded if feed.media == "html" and wire.records is not None else load)(wire, body)


def _load_csv(wire: Wire, body: bytes) -> Table:
    lines = list(csv.reader(io.StringIO(body.decode(wire.codec), newline="")))
    header = lines[wire.header]
    end = next((n for n, line in enumerate(lines) if n > wire.header and not any(line)), len(lines))
    rows = [dict(zip(header, line, strict=True)) for line in lines[wire.header + 1 : end]]
    # a line of another width above the header is no column's label and stays as it is
    head = [dict(zip(header, n, strict=True)) if len(n) == len(header) else n for n in lines[: wire.header]]
    return Table(wire, "csv", header, rows, (head, lines[end:]))


def _dump_csv(table: Table) -> bytes:
    head, tail = table.around
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=table.wire.eol)
    cells = [[n.get(c, "") for c in table.columns] if isinstance(n, dict) else n for n in head]
    cells += [table.columns, *([row.get(c, "") for c in table.columns] for row in table.rows), *tail]
    writer.writerows(cells)
    return out.getvalue().encode(table.wire.codec)


def _at(node: Any, path: list) -> Any:
    for step in path:
        node = node[step]
    return node


def _found(wire: Wire, root: Any) -> list[dict]:
    """Records as cells by name, whatever holds them."""
    found = _at(root, wire.records)
    if wire.columnar:
        return [dict(zip(found, line, strict=True)) for line in zip(*found.values(), strict=True)]
    if wire.keyed:
        return list(found.values())
    return [dict(zip(wire.fields, item, strict=True)) for item in found] if wire.fields else found


def _load_json(wire: Wire, body: bytes) -> Table:
    root = json.loads(body, parse_float=lambda text: Token(text), parse_int=lambda text: Token(text))
    found = [_flat(item) for item in _found(wire, root)]
    rows = [dict(item) for item in found]
    for row, other in zip(rows, _at(root, wire.paired) if wire.paired else [], strict=bool(wire.paired)):
        row.update({f"ctx {key}": value for key, value in other.items()})
    columns = list(dict.fromkeys(key.removeprefix("ctx ") for row in rows for key in row))
    rows = [{key.removeprefix("ctx "): value for key, value in row.items()} for row in rows]
    own = {key for item in found for key in item}
    return Table(wire, "json", columns, rows, (root, own))


def _flat(item: dict) -> dict[str, Any]:
    """A record's cells; those of an object within it under `object.key`."""
    cells: dict[str, Any] = {}
    for key, value in item.items():
        cells |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) and value else {key: value}
    return cells


def _deep(cells: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for name, value in cells.items():
        key, dot, inner = name.partition(".")
        if dot:
            item.setdefault(key, {})[inner] = value
        else:
            item[key] = value
    return item


def _dump_json(table: Table) -> bytes:
    root, own = table.around
    wire = table.wire
    rows = [{c: row[c] for c in table.columns if c in row} for row in table.rows]
    split = [({k: v for k, v in r.items() if k in own or not wire.paired}, {k: v for k, v in r.items() if k not in own})
             for r in rows]  # fmt: skip
    root = _put(root, wire.records, _written(table, [_deep(mine) for mine, _ in split]))
    if wire.paired:
        root = _put(root, wire.paired, [other for _, other in split])
    text = json.dumps(root, default=lambda token: f"@{token.text}@", ensure_ascii=False)
    return _TOKEN.sub(r"\1", text).encode()


def _written(table: Table, rows: list[dict[str, Any]]) -> list | dict:
    """Records as the source writes them: cells that a list has no name for stand at its end."""
    wire = table.wire
    if wire.columnar:
        return {c: [row.get(c) for row in table.rows] for c in table.columns}
    if wire.keyed:
        return {row.get(wire.keyed, f"row {n}"): row for n, row in enumerate(rows)}
    if wire.fields:
        ordered = [[name for name in wire.fields if name in row] for row in rows]
        return [[row[c] for c in (*names, *(c for c in row if c not in names))]
                for row, names in zip(rows, ordered, strict=True)]  # fmt: skip
    return rows


def _put(node: Any, path: list, value: Any) -> Any:
    if not path:
        return value
    node = dict(node) if isinstance(node, dict) else list(node)
    node[path[0]] = _put(node[path[0]], path[1:], value)
    return node


def _load_html(wire: Wire, body: bytes) -> Table:
    text = body.decode()
    lines = [[cell for _, cell in _CELL.findall(row)] for row in _ROW.findall(text)]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    start = text.index("<tr>")
    return Table(wire, "html", lines[0], rows, (text[:start], text[text.rindex("</tr>") + 5 :]))


def _dump_html(table: Table) -> bytes:
    before, after = table.around
    lines = [table.columns, *([row.get(c, "") for c in table.columns] for row in table.rows)]
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return (before + body + after).encode()


def _load_embedded(wire: Wire, body: bytes) -> Table:
    """JSON that a page carries in an attribute, once a row; its members are the columns, `point.member`."""
    before, said, after = re.split(r'(?<=<data value=")(.*)(?=">)', body.decode())
    point = _at(json.loads(html.unescape(said)), wire.records)
    row = _flat(point)
    return Table(wire, "html", list(row), [row], (before, after))


def _dump_embedded(table: Table) -> bytes:
    before, after = table.around
    said = []
    for row in table.rows:
        node = _deep({c: row[c] for c in table.columns if c in row})
        for step in reversed(table.wire.records):
            node = {step: node}
        said.append(html.escape(json.dumps(node)))
    return (before + '"><data value="'.join(said) + after).encode()


def _load_sheet(wire: Wire, body: bytes) -> Table:
    """The last sheet of a spreadsheet in XML; what stands around its rows stays as it is."""
    text = body.decode("utf-8-sig")
    start = text.rindex("<ss:Table>") + len("<ss:Table>")
    found = [re.findall(r"<ss:Data[^>]*>(.*?)</ss:Data>", line) for line in _SHEET_ROW.findall(text[start:])]
    rows = [dict(zip(found[0], line, strict=True)) for line in found[1:]]
    return Table(wire, "xml", found[0], rows, (text[:start], text[text.rindex("</ss:Row>") + 9 :]))


def _dump_sheet(table: Table) -> bytes:
    before, after = table.around
    lines = [table.columns, *([row.get(c, "") for c in table.columns] for row in table.rows)]
    cell = '<ss:Cell><ss:Data ss:Type="String">{}</ss:Data></ss:Cell>'
    return (
        before + "\n".join(f"<ss:Row>{''.join(map(cell.format, line))}</ss:Row>" for line in lines) + after
    ).encode()


def _load_entries(wire: Wire, body: bytes) -> Table:
    """The properties of an Atom feed's entries; None where one is null."""
    text = body.decode()
    rows = [
        {name: None if null else said for name, null, said in _PROPERTY.findall(entry)}
        for entry in re.findall(r"<entry>.*?</entry>", text, re.DOTALL)
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return Table(wire, "xml", columns, rows, (text[: text.index("<entry>")], text[text.rindex("</entry>") + 8 :]))


def _dump_entries(table: Table) -> bytes:
    before, after = table.around
    out = []
    for row in table.rows:
        cells = [f"<d:{c}>{row[c]}</d:{c}>" if row[c] is not None else f'<d:{c} m:null="true"/>'
                 for c in table.columns if c in row]  # fmt: skip
        out.append(f"<entry><content><m:properties>{''.join(cells)}</m:properties></content></entry>")
    return (before + "\n".join(out) + after).encode()
