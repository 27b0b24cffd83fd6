"""The researcher's door: exact answers in every form, a version that stays, and no way out of the file."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from include import connect
from include.answers.door import Door
from include.core.errors import CapmigError, ConfigError
from include.warehouse import publish
from tests.unit.test_reader import ESCAPES

CLOCK = datetime(2026, 1, 31, 12, tzinfo=UTC)
CUT_OFF = datetime(2026, 1, 31, tzinfo=UTC)


def published(home: Path, seq: int, flow: str) -> None:
    """Version `seq` of a small warehouse, by the publish that every run makes."""
    build = home / "build" / f"run-{seq}"
    build.mkdir(parents=True)
    with duckdb.connect(str(build / "warehouse.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA marts; CREATE SCHEMA ops")
        con.execute(f"""CREATE TABLE marts.flow AS SELECT * FROM (VALUES
            (1, DATE '2026-01-23', TIMESTAMPTZ '2026-01-23 03:07:00.000001+00',
             12345678901234567890.000000000000000001::DECIMAL(38,18), {flow}::DECIMAL(24,2), 'it''s'),
            (2, NULL, NULL, 0.000000000000000001, NULL, NULL)) t(id, day, known_from, value, flow_usd, note)""")
        con.execute(f"CREATE TABLE ops.fct_publication AS SELECT {seq} AS seq, TIMESTAMPTZ '{CUT_OFF}' AS cutoff_at")
    publish.publish(home, build, seq=seq, run_id=f"run-{seq}", clock=CLOCK, as_of=None, meta={}, keep=5)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of one version, and the clock that it keeps; beside the served file a secret and other data."""
    home = tmp_path_factory.mktemp("door's")
    published(home, 1, "-9.80")
    (home / "clock").write_text("2026-01-31T12:00:00Z")
    (home / "serve" / "secret.txt").write_text("canary-7f3a")
    with duckdb.connect(str(home / "serve" / "other.duckdb")) as con:
        con.execute("CREATE TABLE t AS SELECT 'canary-7f3a' AS a")
        con.execute("COPY t TO '{}' (FORMAT parquet)".format(str(home / "serve/other.parquet").replace("'", "''")))
    return home


@pytest.fixture
def door(home: Path):
    with connect(home=home) as door:
        yield door


VALUES = [Decimal("12345678901234567890.000000000000000001"), Decimal("0.000000000000000001")]
TOTAL = Decimal("12345678901234567890.000000000000000002")


def test_decimals_are_exact_in_every_form(door: Door) -> None:
    """38 digits and a NULL arrive as they are stored; a sum stays a decimal."""
    answer = door.sql("select value, flow_usd from marts.flow order by id")
    flows = [Decimal("-9.80"), None]
    assert [(r["value"], r["flow_usd"]) for r in answer.rows()] == list(zip(VALUES, flows, strict=True))
    assert answer.arrow().schema.types == [pa.decimal128(38, 18), pa.decimal128(24, 2)]
    frame = answer.pandas()
    assert [str(t) for t in frame.dtypes] == ["decimal128(38, 18)[pyarrow]", "decimal128(24, 2)[pyarrow]"]
    assert frame["value"].tolist() == VALUES
    assert frame["flow_usd"].isna().tolist() == [False, True]
    assert frame["value"].sum() == TOTAL
    polar = answer.polars()
    assert polar.dtypes == [pl.Decimal(38, 18), pl.Decimal(24, 2)]
    assert (polar["value"].to_list(), polar["flow_usd"].to_list()) == (VALUES, flows)
    (total,) = door.sql("select sum(value) as total, sum(id) as n from marts.flow").rows()
    assert total == {"total": TOTAL, "n": Decimal(3)}


def test_days_and_instants_keep_their_zone(door: Door) -> None:
    """A day is a day, an instant is in UTC to the microsecond; no row is an answer too."""
    row = door.sql("select day, known_from from marts.flow where id = 1").rows()[0]
    instant = datetime(2026, 1, 23, 3, 7, 0, 1, tzinfo=UTC)
    assert row == {"day": date(2026, 1, 23), "known_from": instant}
    assert door.table("flow").polars()["known_from"].to_list() == [instant, None]
    none = door.sql("from marts.flow where id = 9")
    assert (len(none), none.rows(), none.pandas().shape, none.polars().shape) == (0, [], (0, 6), (0, 6))


def test_values_are_handed_over_beside_the_statement(door: Door) -> None:
    """Text, decimals, days and instants as parameters; a quote in one is text."""
    sql = "select id from marts.flow where note = $note and value >= $value and day = $day and known_from > $at"
    given = {
        "note": "it's",
        "value": VALUES[0],
        "day": date(2026, 1, 23),
        "at": datetime(2026, 1, 23, 3, 7, tzinfo=UTC),
    }
    assert door.sql(sql, **given).rows() == [{"id": 1}]
    assert door.sql("select count(*) as n from marts.flow where note = $note", note="' or 1 = 1 --").rows() == [
        {"n": 0}
    ]
    for wrong in ({}, {"n": 1, "other": 2}, {"n": object()}):
        with pytest.raises(CapmigError, match=r"\[sql.refused\]") as refused:
            door.sql("select id from marts.flow where id = $n", **wrong)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("statement", ESCAPES[::3])
def test_no_statement_leaves_the_warehouse_file(door: Door, statement: str) -> None:
    """What the command refuses is refused here, and leaves every file as it was."""
    folder = door.path.parent
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with pytest.raises(CapmigError) as refused:
        door.sql(statement.format(dir=str(folder).replace("'", "''")))
    assert "canary" not in str(refused.value)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


@pytest.mark.parametrize("name", ["flow; drop table marts.flow", "read_text('x')", '"flow"', "a.b.c", "", "Flow\n"])
def test_a_table_is_asked_for_by_its_name(door: Door, name: str) -> None:
    """Anything but a name is refused before the engine sees it."""
    with pytest.raises(CapmigError, match=r"is not the name of a table \[sql.table\]"):
        door.table(name)


def test_two_columns_of_one_name_are_refused(door: Door) -> None:
    """A row could hold one of them only."""
    with pytest.raises(CapmigError, match=r"two columns have one name \[sql.columns\]"):
        door.sql("select id, id from marts.flow")


def test_an_open_door_keeps_its_version_while_others_are_published(tmp_path: Path) -> None:
    """The old one reads what it opened, through publishes and a rollback; each new one reads what is served then."""
    (tmp_path / "clock").write_text("2026-01-31T12:00:00Z")
    flow = "select flow_usd from marts.flow where id = 1"
    published(tmp_path, 1, "-9.80")
    with connect(home=tmp_path) as first:
        for seq in (2, 3, 4):
            published(tmp_path, seq, f"-{seq}.00")
            with connect(home=tmp_path) as newest:
                assert (newest.seq, newest.sql(flow).rows()) == (seq, [{"flow_usd": -seq}])
            assert (first.seq, first.sql(flow).rows()) == (1, [{"flow_usd": Decimal("-9.80")}])
        publish.rollback(tmp_path, 2)
        with connect(home=tmp_path) as back:
            assert back.seq == 2
        assert first.sql(flow).rows() == [{"flow_usd": Decimal("-9.80")}]


def test_a_door_says_what_it_reads_and_closes(home: Path) -> None:
    """Version, cut-off and age; once closed it answers no more, and what it answered stays."""
    with connect(home=home) as door:
        assert repr(door) == "<warehouse version 1, as known at 2026-01-31T00:00:00.000000Z, age 12:00:00>"
        assert (door.seq, door.as_of) == (1, CUT_OFF)
        answer = door.table("ops.fct_publication")
    assert repr(answer) == "<1 rows of seq, cutoff_at>"
    assert answer.rows() == [{"seq": 1, "cutoff_at": CUT_OFF}]
    with pytest.raises(CapmigError, match=r"\[sql.refused\]"):
        door.sql("select 1")


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_a_package_that_is_missing_is_named(door: Door, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says which, and what else there is."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CapmigError, match=rf"sql: {name} is not installed \[sql.package\] -> install {name}, or ask"):
        getattr(door.table("flow"), name)()


def test_what_cannot_be_opened_is_one_line(home: Path, tmp_path: Path) -> None:
    """Nothing published, an instant without an offset, one that has not come."""
    with pytest.raises(CapmigError, match=r"there is no warehouse.duckdb .* \[serve.missing\] -> run `capmig run`"):
        connect(home=tmp_path)
    for wrong in ("yesterday", "2026-01-23T03:07", datetime(2026, 1, 23)):  # noqa: DTZ001 - a naive one is the case
        with pytest.raises(ConfigError, match=r"as_of is not an instant with an offset \[config.instant\]"):
            connect(wrong, home=home)
    with pytest.raises(ConfigError, match=r"lies after the run's clock \[config.as_of\]"):
        connect("2027-01-01T00:00Z", home=home)


def test_importing_the_door_loads_nothing() -> None:
    """What is heavy is loaded by the first `connect`, and the build's machinery only for an instant."""
    told = ("import sys; had = set(sys.modules); from include import connect; new = set(sys.modules) - had; "
            "print([m for m in new if m.partition('.')[0] not in sys.stdlib_module_names])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['include']"


def test_a_question_starts_without_what_lands_and_builds(tmp_path: Path) -> None:
    """Neither Arrow, HTTP, dbt nor the declarations of sources, which take longer to import than to answer."""
    told = ("import sys; from include.cli import main; sys.argv[1:] = ['sql', 'select 1']\n"
            "try: main()\nexcept SystemExit: print(*sys.modules)")  # fmt: skip
    env = os.environ | {"WAREHOUSE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", told], env=env, capture_output=True, text=True, check=True)
    assert "nothing has been published yet [serve.empty]" in done.stderr
    loaded = set(done.stdout.split())
    assert {"include.cli", "include.sources"} <= loaded
    assert not loaded & {"pyarrow", "numpy", "requests", "dbt", "include.pipeline"}
    assert not [name for name in loaded if name.startswith("include.sources.macro.")]
