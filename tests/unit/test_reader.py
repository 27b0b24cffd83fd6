"""Row 62 of the fault matrix, and exact answers: what `capmig sql` may reach and what it prints."""

import io
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from include.answers import reader
from include.core.errors import CapmigError, IntegrityError


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A warehouse file with one mart; beside it a secret text, a Parquet and a second database."""
    folder = tmp_path_factory.mktemp("serve's")
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        con.execute("CREATE SCHEMA marts")
        con.execute("""CREATE TABLE marts.flow AS SELECT * FROM (VALUES
            (1, DATE '2026-01-23', TIMESTAMPTZ '2026-01-23 12:07:00+09', 12345678901234567.89::DECIMAL(38,18),
             -9.80::DECIMAL(24,2), 'plain'),
            (2, DATE '2026-01-26', NULL, 0.000000000000000001, NULL, ''),
            (3, NULL, TIMESTAMPTZ '2026-01-23 03:07:00.000001+00', 1000, 0.00, NULL)
        ) t(id, event_date, known_from, value, flow_usd, note)""")
    (folder / "secret.txt").write_text("canary-7f3a")
    with duckdb.connect(str(folder / "other.duckdb")) as con:
        con.execute("CREATE TABLE t AS SELECT 'canary-7f3a' AS a")
        con.execute("COPY t TO '{}' (FORMAT parquet)".format(str(folder / "other.parquet").replace("'", "''")))
    return folder / "warehouse.duckdb"


@pytest.fixture
def con(file):
    with reader.connect(file) as con:
        yield con


# Each must be refused by `query`, and the locked connection itself must refuse it or change and reveal nothing.
ESCAPES = """
COPY (SELECT 1) TO '{dir}/out.csv'
COPY marts.flow TO '{dir}/out.parquet' (FORMAT parquet)
COPY marts.flow FROM '{dir}/other.parquet'
COPY (SELECT 1) TO '/dev/stdout'
EXPORT DATABASE '{dir}/export'
IMPORT DATABASE '{dir}/export'
ATTACH '{dir}/other.duckdb' AS other
ATTACH '{dir}/other.duckdb' AS other (READ_ONLY)
ATTACH '{dir}/new.duckdb' AS new
DETACH warehouse
SELECT * FROM read_text('{dir}/secret.txt')
SELECT * FROM read_blob('{dir}/secret.txt')
SELECT * FROM read_csv('{dir}/secret.txt', header = false)
SELECT * FROM read_csv_auto('{dir}/secret.txt')
SELECT * FROM sniff_csv('{dir}/secret.txt')
SELECT * FROM read_json('{dir}/secret.txt')
SELECT * FROM read_parquet('{dir}/other.parquet')
SELECT * FROM parquet_metadata('{dir}/other.parquet')
SELECT * FROM '{dir}/other.parquet'
SELECT * FROM "{dir}/other.parquet"
SELECT * FROM glob('{dir}/*')
SELECT * FROM read_text('/proc/self/environ')
SELECT (SELECT content FROM read_text('{dir}/secret.txt')) FROM marts.flow
SELECT * FROM query('SELECT * FROM read_text(''{dir}/secret.txt'')')
SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')
SELECT * FROM 's3://bucket/x.parquet'
INSTALL httpfs
INSTALL spatial FROM community
LOAD httpfs
LOAD '{dir}/x.duckdb_extension'
SET enable_external_access = true
SET lock_configuration = false
SET disabled_filesystems = ''
SET memory_limit = '64GB'
SET threads = 64
SET TimeZone = 'Asia/Tokyo'
SET temp_directory = '{dir}/spill'
SET home_directory = '{dir}'
RESET enable_external_access
PRAGMA threads = 64
PRAGMA profiling_output = '{dir}/profile.json'
CALL enable_logging(storage = 'file', storage_path = '{dir}/logs')
SELECT getenv('HOME')
SELECT * FROM file
SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 't')
CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')
CREATE TABLE marts.new AS SELECT 1 AS a
CREATE VIEW marts.new AS SELECT 1 AS a
CREATE SCHEMA new
INSERT INTO marts.flow (id) VALUES (4)
UPDATE marts.flow SET id = 4
DELETE FROM marts.flow
DROP TABLE marts.flow
ALTER TABLE marts.flow ADD COLUMN a INT
EXPLAIN ANALYZE COPY (SELECT 1) TO '{dir}/out.csv'
EXPLAIN ANALYZE DELETE FROM marts.flow
""".strip().splitlines()


@pytest.mark.parametrize("statement", ESCAPES)
def test_row_62_no_statement_leaves_the_warehouse_file(con, file, statement):
    before = {p.name: p.read_bytes() for p in file.parent.iterdir()}
    sql = statement.format(dir=str(file.parent).replace("'", "''"))
    with pytest.raises(CapmigError) as refused:
        reader.query(con, sql)
    assert str(refused.value).startswith("sql: ")
    assert "\n" not in str(refused.value)
    assert "canary" not in str(refused.value)
    with pytest.raises(duckdb.Error):
        con.execute(sql).fetchall()
    assert {p.name: p.read_bytes() for p in file.parent.iterdir()} == before


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1; SELECT 2", "", "BEGIN", "USE memory", "CREATE TEMP TABLE t AS SELECT 1", "SELECT 1; DROP TABLE t",
     "PREPARE p AS SELECT 1", "CHECKPOINT", "ATTACH ':memory:' AS m", "SET VARIABLE a = 1"],
)  # fmt: skip
def test_one_select_at_a_time(con, statement):
    with pytest.raises(CapmigError, match=r"one SELECT at a time .* \[sql.read_only\]"):
        reader.query(con, statement)


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1", "WITH a AS (SELECT 1) FROM a", "VALUES (1)", "TABLE marts.flow", "DESCRIBE marts.flow",
     "SHOW ALL TABLES", "SUMMARIZE marts.flow", "EXPLAIN SELECT 1", "FROM marts.flow;", "-- why\nSELECT 1",
     "PIVOT marts.flow ON id IN (1, 2) USING sum(value)"],
)  # fmt: skip
def test_reading_in_every_form_is_answered(con, statement):
    assert reader.query(con, statement).fetchall()


@pytest.mark.parametrize("statement", ["SELECT 1\0 WHERE false", "SELECT '\udcff'"])
def test_text_that_the_engine_would_misread_is_refused(con, statement):
    with pytest.raises(CapmigError, match=r"NUL character, or bytes that are not UTF-8 \[sql.refused\]"):
        reader.query(con, statement)


def test_an_error_is_one_line_and_the_connection_stays_usable(con):
    with pytest.raises(CapmigError, match=r"sql: .*flows.* \[sql.refused\]"):
        reader.query(con, "SELECT *\nFROM marts.flows\nWHERE id = 1")
    assert reader.query(con, "SELECT count(*) FROM marts.flow").fetchone() == (3,)


def test_an_error_while_rows_are_fetched_is_one_line(con):
    cursor = reader.query(con, "SELECT if(range = 900000, error('late'), '1') AS n FROM range(1000000)")
    with pytest.raises(CapmigError, match=r"late \[sql.refused\]"):
        reader.write(cursor, "json", io.StringIO())


def test_a_file_that_is_not_there_or_not_a_database_is_said_in_one_line(tmp_path):
    with pytest.raises(CapmigError, match=r"there is no x.duckdb .* \[serve.missing\] -> run `capmig run`"):
        reader.connect(tmp_path / "x.duckdb")
    (tmp_path / "y.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(IntegrityError, match=r"y.duckdb cannot be read: .* \[serve.unreadable\]"):
        reader.connect(tmp_path / "y.duckdb")


def test_memory_and_threads_are_capped(file):
    with reader.connect(file, memory_limit="100MB", threads=1) as con:
        assert con.execute("SELECT current_setting('threads'), current_setting('TimeZone')").fetchone() == (1, "UTC")
        with pytest.raises(CapmigError, match="(?i)memory"):
            cursor = reader.query(con, "SELECT list(a.range * b.range) FROM range(30000) a, range(1000) b")
            reader.write(cursor, "csv", io.StringIO())


def answer(con, sql: str, fmt: str) -> str:
    out = io.StringIO()
    reader.write(reader.query(con, sql), fmt, out)
    return out.getvalue()


def test_json_is_exact(con):
    text = answer(con, "FROM marts.flow ORDER BY id", "json")
    assert json.loads(text, parse_float=Decimal) == [
        {"id": 1, "event_date": "2026-01-23", "known_from": "2026-01-23T03:07:00Z",
         "value": Decimal("12345678901234567.89"), "flow_usd": Decimal("-9.8"), "note": "plain"},
        {"id": 2, "event_date": "2026-01-26", "known_from": None,
         "value": Decimal("0.000000000000000001"), "flow_usd": None, "note": ""},
        {"id": 3, "event_date": None, "known_from": "2026-01-23T03:07:00.000001Z",
         "value": 1000, "flow_usd": 0, "note": None},
    ]  # fmt: skip
    assert '"value": 12345678901234567.89,' in text
    assert '"value": 0.000000000000000001,' in text


def test_json_of_no_rows_and_of_every_kind(con):
    assert json.loads(answer(con, "FROM marts.flow WHERE id = 9", "json")) == []
    kinds = """SELECT true AS yes, 170141183460469231731687303715884105727::HUGEINT AS big, 0.1::DOUBLE AS score,
        [1.50::DECIMAL(8,2), NULL] AS list, {'a': DATE '2026-01-23', 'b': 'x"y'} AS struct,
        MAP {'k': 2.0::DECIMAL(3,1)} AS map, TIME '03:07:00' AS clock, 'ab'::BLOB AS body,
        TIMESTAMP '2026-01-23 03:07:00' AS naive, '円\n' AS text, (-0.00)::DECIMAL(4,2) AS zero,
        1000::DECIMAL(4,0) AS thousand"""
    assert json.loads(answer(con, kinds, "json"), parse_float=Decimal) == [
        {"yes": True, "big": 2**127 - 1, "score": Decimal("0.1"), "list": [Decimal("1.5"), None],
         "struct": {"a": "2026-01-23", "b": 'x"y'}, "map": {"k": 2}, "clock": "03:07:00", "body": "6162",
         "naive": "2026-01-23T03:07:00Z", "text": "円\n", "zero": 0, "thousand": 1000}
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["nan", "infinity", "-infinity"])
def test_json_refuses_what_json_cannot_say(con, value):
    with pytest.raises(CapmigError, match="sql.not_finite"):
        answer(con, f"SELECT '{value}'::DOUBLE AS a", "json")


def test_json_refuses_two_columns_of_one_name(con):
    with pytest.raises(CapmigError, match="sql.columns"):
        answer(con, "SELECT 1 AS a, 2 AS a", "json")


def test_csv_keeps_absent_and_empty_apart_and_defuses_formulas(con):
    assert answer(con, "FROM marts.flow ORDER BY id", "csv").splitlines() == [
        "id,event_date,known_from,value,flow_usd,note",
        "1,2026-01-23,2026-01-23T03:07:00Z,12345678901234567.89,-9.8,plain",
        '2,2026-01-26,,0.000000000000000001,,""',
        "3,,2026-01-23T03:07:00.000001Z,1000,0,",
    ]
    texts = """SELECT unnest(['=cmd()', '+1+1', '-9.8', '@x', 'a,"b"', '-1,234.5'])"""
    assert answer(con, f"{texts} AS t", "csv").splitlines()[1:] == [
        "'=cmd()", "'+1+1", "-9.8", "'@x", '"a,""b"""', '"-1,234.5"',
    ]  # fmt: skip


def test_table_never_cuts_a_value_and_never_steers_the_terminal(con):
    out = answer(
        con, "SELECT id, value, repeat('long ', 60) || '[red]\x1b[31m' AS note FROM marts.flow WHERE id = 1", "table"
    )
    assert "12345678901234567.89" in out
    assert "long " * 60 + "[red]\N{REPLACEMENT CHARACTER}[31m" in out
    assert "\x1b" not in out
    assert out.rstrip().endswith("1 row")


def test_an_unknown_format_is_refused(con):
    with pytest.raises(CapmigError, match=r"no format xml .* use one of table, csv, json"):
        answer(con, "SELECT 1", "xml")


SLOW = "SELECT count(*) FROM range(10000000000) a, range(10000) b WHERE (a.range * b.range) % 7 = 3"


def test_a_query_is_stopped_at_its_limit_and_the_connection_stays_usable(con):
    started = time.monotonic()
    quiet = io.StringIO()
    with pytest.raises(CapmigError, match=r"no whole answer after 0.5 s, the limit \[sql.limit_seconds\]"):
        reader.within(con, 0.5, lambda out: reader.write(reader.query(con, SLOW), "csv", out), out=quiet, line=quiet)
    assert time.monotonic() - started < 10
    assert reader.query(con, "SELECT count(*) FROM marts.flow").fetchone() == (3,)


def test_rows_that_come_forever_are_stopped_too(con):
    quiet = io.StringIO()
    with pytest.raises(CapmigError, match="sql.limit_seconds"):
        work = "FROM range(100000000000)"
        reader.within(con, 0.5, lambda out: reader.write(reader.query(con, work), "csv", out), out=quiet, line=quiet)
    assert quiet.getvalue().startswith("range\n0\n1\n")


def test_an_error_within_the_limit_is_its_own(con):
    quiet = io.StringIO()
    with pytest.raises(CapmigError, match="sql.refused"):
        reader.within(con, 60, lambda _: reader.query(con, "SELECT a"), out=quiet, line=quiet)
    with pytest.raises(ZeroDivisionError):
        reader.within(con, 60, lambda _: 1 // 0, out=quiet, line=quiet)


def test_a_table_counts_the_rows_that_it_does_not_show(con):
    out = io.StringIO()
    reader.write(reader.query(con, "FROM range(12345)"), "table", out, limit_rows=10)
    lines = out.getvalue().split("\n")
    assert [line.strip() for line in lines[3:13]] == [str(n) for n in range(10)]
    assert lines[-2] == ("12345 rows, of which the first 10 are shown: --limit-rows 0 shows all, "
                         "--format csv writes all")  # fmt: skip
    assert answer(con, "FROM range(12345)", "table").endswith("12345 rows\n")


def test_what_an_error_quotes_cannot_steer_the_terminal(con):
    with pytest.raises(CapmigError) as refused:
        reader.query(con, "SELECT '\x1b[31mred'::INT").fetchall()
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("fmt", ["csv", "json", "table"])
def test_a_payload_cannot_steer_the_terminal_in_any_format(con, fmt):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    reader.write(reader.query(con, "SELECT '\x1b]0;title\x07' AS a"), fmt, out)
    assert "title" in out.getvalue() and "\x07" not in out.getvalue() and "\x1b]" not in out.getvalue()


def test_parquet_is_exact(con, tmp_path):
    path = tmp_path / "answer.parquet"
    with path.open("wb") as out:
        reader.write_parquet(reader.query(con, "FROM marts.flow ORDER BY id"), out)
    table = pq.read_table(path)
    assert str(table.schema.field("value").type) == "decimal128(38, 18)"
    assert str(table.schema.field("flow_usd").type) == "decimal128(24, 2)"
    assert table.to_pydict()["value"] == [Decimal("12345678901234567.890000000000000000"),
                                          Decimal("0.000000000000000001"), Decimal(1000)]  # fmt: skip
    assert table.to_pydict()["note"] == ["plain", "", None]
    assert table.to_pydict()["known_from"][2] == datetime(2026, 1, 23, 3, 7, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [("SELECT 1 AS a, 2 AS a", "sql.columns"), ("SELECT 1::BIGNUM AS a", "sql.parquet"),
     ("SELECT INTERVAL 1 DAY AS a", "sql.parquet"),
     ("SELECT if(range = 900000, error('late'), '1') AS n FROM range(1000000)", "sql.refused")],
)  # fmt: skip
def test_parquet_refuses_what_it_cannot_hold(con, statement, rule):
    with pytest.raises(CapmigError, match=rule):
        reader.write_parquet(reader.query(con, statement), io.BytesIO())
