"""What changed between two published versions, by key: rows added, removed and changed in every table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb

from include.answers import reader
from include.core.duckfile import first_line
from include.core.errors import IntegrityError

EXAMPLES = 3
_CHANGELOG = """
select seq as version, published_at, cutoff_at, newest_known_from as newest_figure, n_labels as labels,
    n_holds as holds, concat_ws(', ',
        if(marts_hash is distinct from lag(marts_hash) over before, 'marts', null),
        if(input_hash is distinct from lag(input_hash) over before, 'inputs', null),
        if(code_sha256 is distinct from lag(code_sha256) over before, 'code', null)
    ) as changed
from ops.fct_publication
window before as (order by seq)
qualify seq > $older and seq <= $newer
order by seq
"""


@dataclass(slots=True)
class Change:
    """One table's difference. `examples`: (`added`, `removed` or the column, key as text, old value, new value)."""

    table: str
    added: int = 0
    removed: int = 0
    changed: int = 0
    note: str = ""
    examples: list[tuple[str, str, str, str]] = field(default_factory=list)


def compare(older: Path, newer: Path, keys: Mapping[str, Sequence[str]], *, examples: int = EXAMPLES) -> list[Change]:
    """The tables that differ between two versions' directories of Parquet (`<schema>/<table>.parquet`).

    `keys` names the columns that tell a table's rows apart; a table without them is compared by whole rows, so that a
    row that changed counts as one removed and one added.
    """
    old, new = _tables(older), _tables(newer)
    try:
        with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "1GB"}) as con:
            con.execute("SET TimeZone = 'UTC'")
            found = [_difference(con, table, old, new, keys, examples) for table in sorted(old.keys() | new.keys())]
    except duckdb.Error as error:
        raise IntegrityError(f"a kept version cannot be read: {first_line(error)}", source="status", rule="status.diff",
                             action="see `capmig status --verify`") from None  # fmt: skip
    return [change for change in found if change.added or change.removed or change.changed or change.note]


def _difference(con: duckdb.DuckDBPyConnection, table: str, old: Mapping[str, Path], new: Mapping[str, Path],
                keys: Mapping[str, Sequence[str]], examples: int) -> Change:  # fmt: skip
    if table not in old or table not in new:
        sort, at = ("added", new) if table in new else ("removed", old)
        ((n_rows,),) = _ask(con, f"select count(*) from read_parquet({_quoted(at[table])})")
        return Change(table, note=f"table {sort}", **{sort: n_rows})
    for name, path in (("old", old[table]), ("new", new[table])):
        con.execute(f"create or replace temp view {name} as select * from read_parquet({_quoted(path)})")
    return _compare(con, table, list(keys.get(table.partition(".")[2], ())), examples)


def _compare(con: duckdb.DuckDBPyConnection, table: str, key: list[str], examples: int) -> Change:
    old, new = (dict(row[:2] for row in _ask(con, f"describe {side}")) for side in ("old", "new"))
    both = [column for column in new if old.get(column) == new[column]]
    note = "; ".join(
        f"columns {what}: {', '.join(columns)}"
        for what, columns in (
            ("added", [column for column in new if column not in old]),
            ("removed", [column for column in old if column not in new]),
            ("of another type", [column for column in new if column in old and column not in both]),
        )
        if columns
    )
    by_key = bool(key) and set(key) <= set(both)
    if not by_key:
        key = both
    rest = [column for column in both if column not in key]
    # Rows without a key may repeat, so they are counted apart before they are matched.
    for side in ("old", "new"):
        columns = ", ".join(map(_name, both))
        numbered = "1" if by_key else f"row_number() over (partition by {columns})"
        con.execute(f"create or replace temp table {side}_rows as select {columns}, {numbered} as nth__ from {side}")
    on = " and ".join(f"old.{_name(c)} is not distinct from new.{_name(c)}" for c in [*key, "nth__"])
    differs = " or ".join(f"old.{_name(c)} is distinct from new.{_name(c)}" for c in rest) or "false"
    con.execute(f"""create or replace temp table pair as
        select old as was, new as "is",
            case when old.nth__ is null then 'added' when new.nth__ is null then 'removed'
                when {differs} then 'changed' end as sort
        from old_rows as old full join new_rows as new on {on}""")
    counts = dict(_ask(con, "select sort, count(*) from pair where sort is not null group by sort"))
    return Change(table, **counts, note=note, examples=_examples(con, key, rest, examples) if counts else [])


def _examples(con: duckdb.DuckDBPyConnection, key: list[str], rest: list[str], limit: int) -> list[tuple]:
    """The first rows of each sort in the order of the key; a changed row once for each column that changed."""
    shown = []
    order = ", ".join(f'coalesce("is".{_name(c)}, was.{_name(c)})' for c in key)
    for sort in ("added", "removed", "changed"):
        found = _ask(con, f"""select was, "is" from pair where sort = '{sort}' order by {order} limit {limit}""")
        for was, now in found:
            if sort == "changed":
                differing = [column for column in rest if was[column] != now[column]]
                shown += [(column, _key(now, key), _value(was[column]), _value(now[column])) for column in differing]
            else:
                shown.append((sort, _key(now if sort == "added" else was, key), "", ""))
    return shown


def show(changes: list[Change], n_tables: int) -> str:
    """The differences for a terminal: a line a table, then examples."""
    if not changes:
        return f"every row of the {n_tables} tables is the same\n"
    out = StringIO()
    reader.print_table(
        ("table", "added", "removed", "changed", "note"),
        [(c.table, c.added, c.removed, c.changed, c.note) for c in changes], out,
    )  # fmt: skip
    out.write(f"{n_tables - len(changes)} other tables are the same\n\nExamples\n")
    reader.print_table(
        ("table", "what", "key", "was", "is"),
        [(c.table, *example) for c in changes for example in c.examples], out,
    )  # fmt: skip
    return out.getvalue()


def changelog(warehouse: Path, older: int, newer: int) -> str:
    """What was published after version `older`, up to `newer`, from the file's own record."""
    out = StringIO()
    with reader.connect(warehouse) as con:
        reader.write(reader.query(con, _CHANGELOG, {"older": older, "newer": newer}), "table", out)
    return out.getvalue()


def _tables(version: Path) -> dict[str, Path]:
    return {f"{path.parent.name}.{path.stem}": path for path in version.glob("*/*.parquet")}


def _ask(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple]:
    return con.execute(sql).fetchall()


def _key(row: dict[str, Any], key: list[str]) -> str:
    return ", ".join(f"{column}={_value(row[column])}" for column in key)


def _value(value: Any) -> str:
    return "NULL" if value is None else reader.plain_text(value)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
