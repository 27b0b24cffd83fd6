"""What changed between two versions, on Parquet files made for it."""

from pathlib import Path

import duckdb
import pytest

from include.answers import diff
from include.core.errors import IntegrityError

KEYS = {"flow": ("id", "day"), "gone": ("id",), "new": ("id",)}


def version(path: Path, **tables: str) -> Path:
    """A version's directory of the named tables, each from the SELECT given."""
    (path / "marts").mkdir(parents=True)
    for name, sql in tables.items():
        duckdb.sql(sql).write_parquet(str(path / "marts" / f"{name}.parquet"))
    return path


def rows(*values: str) -> str:
    return f"select * from (values {', '.join(values)}) t(id, day, usd, note)"


OLD = ("(1, date '2026-01-01', 9.80::decimal(24,2), 'a')", "(2, null, null, 'b')", "(3, date '2026-01-03', 0.00, null)",
       "(4, date '2026-01-04', 1.00, 'd')")  # fmt: skip


def test_rows_are_added_removed_and_changed_by_key(tmp_path):
    new = (OLD[0], "(2, null, 0.00, 'b')", "(3, date '2026-01-03', 0.00, '')", "(5, null, 1.00, 'd')")
    older, newer = version(tmp_path / "v1", flow=rows(*OLD)), version(tmp_path / "v2", flow=rows(*new))
    (change,) = diff.compare(older, newer, KEYS)
    assert (change.table, change.added, change.removed, change.changed, change.note) == ("marts.flow", 1, 1, 2, "")
    assert change.examples == [
        ("added", "id=5, day=NULL", "", ""), ("removed", "id=4, day=2026-01-04", "", ""),
        ("usd", "id=2, day=NULL", "NULL", "0"), ("note", "id=3, day=2026-01-03", "NULL", ""),
    ]  # fmt: skip
    (back,) = diff.compare(newer, older, KEYS)
    assert (back.added, back.removed, back.changed) == (1, 1, 2)
    text = diff.show([change], 7)
    assert "6 other tables are the same" in text and "id=2, day=NULL" in text


def test_equal_rows_in_another_order_are_no_change(tmp_path):
    older, newer = version(tmp_path / "v1", flow=rows(*OLD)), version(tmp_path / "v2", flow=rows(*OLD[::-1]))
    assert diff.compare(older, newer, KEYS) == []
    assert diff.show([], 1) == "every row of the 1 tables is the same\n"


def test_tables_and_columns_that_come_and_go(tmp_path):
    older = version(
        tmp_path / "v1",
        flow="select 1 as id, null::date as day, 1 as usd, 1 as note",
        gone="select unnest([1, 2]) as id",
    )
    newer = version(
        tmp_path / "v2", flow="select 1 as id, null::date as day, 2 as eur, 'a' as note", new="select 1 as id"
    )
    found = {c.table: c for c in diff.compare(older, newer, KEYS)}
    assert (found["marts.gone"].removed, found["marts.gone"].note) == (2, "table removed")
    assert (found["marts.new"].added, found["marts.new"].note) == (1, "table added")
    assert found["marts.flow"].note == "columns added: eur; columns removed: usd; columns of another type: note"
    assert (found["marts.flow"].added, found["marts.flow"].changed) == (0, 0)


def test_a_table_without_a_key_is_compared_by_whole_rows_that_may_repeat(tmp_path):
    older = version(tmp_path / "v1", log="select unnest(['a', 'a', 'b']) as line")
    newer = version(tmp_path / "v2", log="select unnest(['a', 'b', 'b', 'c']) as line")
    (change,) = diff.compare(older, newer, KEYS)
    assert (change.added, change.removed, change.changed) == (2, 1, 0)


def test_examples_are_few_and_in_the_order_of_the_key(tmp_path):
    older = version(tmp_path / "v1", gone="select i as id, 0::bigint as n from range(9) t(i)")
    newer = version(tmp_path / "v2", gone="select i as id, i as n from range(9) t(i)")
    (change,) = diff.compare(older, newer, KEYS, examples=2)
    assert change.changed == 8
    assert change.examples == [("n", "id=1", "0", "1"), ("n", "id=2", "0", "2")]


def test_a_damaged_version_is_one_line(tmp_path):
    older, newer = version(tmp_path / "v1", flow=rows(*OLD)), version(tmp_path / "v2", flow=rows(*OLD))
    file = newer / "marts" / "flow.parquet"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(IntegrityError, match=r"cannot be read: .* \[status.diff\] -> see `capmig status --verify`"):
        diff.compare(older, newer, KEYS)
