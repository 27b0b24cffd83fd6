"""An answer as an Excel file, read back from its XML: exact, without formulas, and saying what it answers."""

import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

from include.answers import reader, workbook
from include.core.errors import CapmigError

NS = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
AT = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Two marts of two sources, one of them with grades."""
    path = tmp_path_factory.mktemp("serve") / "warehouse.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("create schema marts; create schema ops")
        con.execute("create table marts.fct_flow as select * from (values "
                    "(1, 'C', 'farside', null), (2, 'A', 'ust', 'mof, ust')) t(flow_id, grade, source_id, jp_source_ids)")  # fmt: skip
        con.execute("comment on column marts.fct_flow.grade is 'How sure.'")
        con.execute("create table marts.dim_source as select s as source_id, 'Title of ' || s as title, "
                    "'terms ' || s as licence, 'credit ' || s as credit, 'https://' || s as base_url "
                    "from unnest(['farside', 'mof', 'ust', 'frb']) t(s)")  # fmt: skip
    return path


def sheets(file: Path, sql: str, *, seq: int | None = 7) -> tuple[dict[str, tuple[str, str]], list[list[str]], bytes]:
    """Cells of `answer` as (kind, text) by address, rows of `about` as texts, and the file."""
    out = io.BytesIO()
    with reader.connect(file) as con:
        workbook.write(con, workbook.Asked(sql, seq, AT, AT), out)
    with zipfile.ZipFile(out) as book:
        assert not [name for name in book.namelist() if "calcChain" in name or "externalLink" in name]
        files = [book.read(f"xl/worksheets/sheet{n}.xml") for n in (1, 2)]
        answer, about = map(ElementTree.fromstring, files)  # noqa: S314 - written a moment ago, by us
        assert not any(sheet.findall(".//x:f", NS) + sheet.findall(".//x:hyperlink", NS) for sheet in (answer, about))
    cells = {c.get("r"): (c.get("t", "n"), "".join(c.itertext())) for c in answer.findall(".//x:c", NS)}
    rows = [["".join(c.itertext()) for c in row.findall("x:c", NS)] for row in about.findall(".//x:row", NS)]
    return cells, rows, out.getvalue()


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [("-509700000.00::decimal(24,2)", "n", Decimal("-509700000")), ("0.1::decimal(38,18)", "n", Decimal("0.1")),
     ("0.00::decimal(24,2)", "n", Decimal(0)), ("123456789012345::bigint", "n", Decimal(123456789012345)),
     ("0.000000000000000001::decimal(38,18)", "n", Decimal("1e-18")), ("9999999999999.99::decimal(24,2)", "n", Decimal("9999999999999.99")),
     ("99999999999999.99::decimal(24,2)", "inlineStr", "99999999999999.99"),
     ("12345678901234567.89::decimal(38,18)", "inlineStr", "12345678901234567.89"),
     ("1234567890123456::bigint", "inlineStr", "1234567890123456"), ("true", "b", "1"), ("0.5::double", "n", Decimal("0.5")),
     ("'nan'::double", "inlineStr", "nan"), ("date '2026-01-30'", "n", Decimal((date(2026, 1, 30) - date(1899, 12, 30)).days)),
     ("date '1890-01-01'", "inlineStr", "1890-01-01"), ("timestamptz '2026-01-23 12:07:00+09'", "inlineStr", "2026-01-23T03:07:00Z"),
     ("'=cmd()'", "inlineStr", "=cmd()"), ("'{=1+1}'", "inlineStr", "{=1+1}"), ("'+1+1'", "inlineStr", "+1+1"), ("'@x'", "inlineStr", "@x"),
     ("'https://x.org'", "inlineStr", "https://x.org"), ("'12'", "inlineStr", "12"), ("'a & <b> 円'", "inlineStr", "a & <b> 円"),
     ("[1.50::decimal(8,2), null]", "inlineStr", "[1.5, null]")],
)  # fmt: skip
def test_a_cell_holds_the_exact_value_or_its_text(file, value, kind, text):
    cells, *_ = sheets(file, f"select {value} as a")
    found, said = cells["A2"]
    assert found == kind
    assert (Decimal(said) if kind == "n" else said) == text


def test_absent_is_an_empty_cell(file):
    cells, *_ = sheets(file, "select null::int as a, 0 as b")
    assert "A2" not in cells and cells["B2"] == ("n", "0")


def test_the_second_sheet_says_what_was_asked_and_of_whom(file):
    _, rows, _ = sheets(file, "select * from marts.fct_flow")
    said = {row[0]: row[1:] for row in rows if row[0]}
    assert said["query"] == ["select * from marts.fct_flow"]
    assert said["as known at"] == ["2026-01-31T23:59:59.000000Z"]
    assert said["version"] == ["7"]
    assert said["asked at"] == ["2026-01-31T23:59:59.000000Z by the warehouse's clock"]
    assert said["grades"] == ["A, C"] and ["", "How sure."] in rows
    assert said["sources"] == ["named in the answer", "licence", "credit", "address"]
    assert said["farside"] == ["Title of farside", "terms farside", "credit farside", "https://farside"]
    assert said.keys() >= {"farside", "mof", "ust"} and "frb" not in said


def test_sources_of_the_tables_read_where_the_answer_names_none(file):
    _, rows, _ = sheets(
        file, 'with a as (select * from warehouse.MARTS."fct_flow") select sum(flow_id) as n from a', seq=None
    )
    said = {row[0]: row[1:] for row in rows if row[0]}
    assert said["grades"] == ["the answer has no column of grades"]
    assert said["version"] == ["built as known at that instant"]
    assert said["sources"][0] == "of the tables read" and said.keys() >= {"farside", "mof", "ust"}


def test_equal_questions_give_equal_files(file):
    assert sheets(file, "select * from marts.fct_flow")[2] == sheets(file, "select * from marts.fct_flow")[2]


@pytest.mark.parametrize(
    ("sql", "rule"),
    [("select 1 as a, 2 as a", "sql.columns"), ("select repeat('x', 32768) as a", "sql.xlsx_text"),
     ("select if(range = 9000, error('late'), '1') as n from range(10000)", "sql.refused"), ("delete from marts.fct_flow", "sql.read_only")],
)  # fmt: skip
def test_what_a_workbook_cannot_hold_is_refused(file, sql, rule):
    with pytest.raises(CapmigError, match=rule):
        sheets(file, sql)


def test_more_rows_than_a_sheet_holds_are_refused(file, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_ROWS", 100)
    assert "A101" in sheets(file, "from range(100)")[0]
    with pytest.raises(CapmigError, match="sql.xlsx_rows"):
        sheets(file, "from range(101)")
